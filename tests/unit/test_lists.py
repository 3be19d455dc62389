# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Lists of images: what is read from them, and that every mistake is told with its line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from azext_acrimport.lists.document import MAX_ENTRIES, ImportList, read_list
from azext_acrimport.lists.entries import ListEntry
from azext_acrimport.lists.errors import MOST_SHOWN, InvalidList, Mistake
from azext_acrimport.lists.keys import KEYS
from azext_acrimport.oci.errors import InvalidReference
from azext_acrimport.request import InvalidRequest

ROOT = Path(__file__).parents[2]
NAME = {"name": "myregistry"}


@pytest.fixture(params=["libyaml", "pure Python"])
def _loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both of PyYAML's parsers: the fast one is not everywhere."""
    if request.param == "pure Python":
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    elif not yaml.__with_libyaml__:
        pytest.skip("PyYAML was built without libyaml")


def read(text: str, environ: dict[str, str] | None = None, **options: Any) -> ImportList:
    return read_list(text, environ or {}, **{"below": NAME, **options})


def values(text: str, **options: Any) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in each.values.items() if key != "name"} for each in read(text, **options).entries
    ]


def mistakes(text: str, **options: Any) -> list[tuple[int, str]]:
    with pytest.raises(InvalidList) as raised:
        read(text, **options)
    return [(each.line, each.text) for each in raised.value.mistakes]


def entry(text: str) -> dict[str, Any]:
    (found,) = values(f"- source: a.io/b\n  {text}")
    del found["source"]
    return found


# The forms.


@pytest.mark.usefixtures("_loader")
@pytest.mark.parametrize(
    "text",
    [
        "a.io/b:1\nc.io/d:2 e:3\n",
        "# c\n\n  a.io/b:1\t# why\r\nc.io/d:2\te:3",
        "\ufeffa.io/b:1\rc.io/d:2 e:3",
        "- a.io/b:1\n- source: c.io/d:2\n  image: e:3\n",
        "# c\n---\nimages:\n- a.io/b:1\n- {source: 'c.io/d:2', image: [e:3]}",
        "images :\n- a.io/b:1\n- source: c.io/d:2\n  image:\n  - e:3",
        '\ufeff["a.io/b:1", {"source": "c.io/d:2", "image": "e:3"}]',
        '{\n\t"images":[\n\t\t"a.io\\/b:1",\n\t\t{"source":"c.io/d:2","image":["e:3"]}\n\t]\n}',
    ],
)
def test_the_same_list_in_every_form(text: str) -> None:
    assert values(text) == [{"source": "a.io/b:1"}, {"source": "c.io/d:2", "image": ["e:3"]}]


def test_json_of_any_width_reads_the_same() -> None:
    images = [{"source": "a.io/b", "tags": ["1.10", "x"], "force": True, "latest": 3, "referrers": ["t/x"]}]
    for indent in (None, 2, "\t"):
        assert values(json.dumps({"images": images}, indent=indent)) == images


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("[::1]:5000/app:v1", "[::1]:5000/app:v1"),
        ("localhost:5000/app", "localhost:5000/app"),
        ("oci:/carried/in:v1", "oci:/carried/in:v1"),
        ("a.io/b@sha256:0 # x", "a.io/b@sha256:0"),
        ("a.io/b#1", "a.io/b#1"),
    ],
)
def test_a_single_reference_is_a_plain_list(text: str, source: str) -> None:
    assert values(text) == [{"source": source}]


def test_examples_of_the_documentation_are_lists() -> None:
    environ = {"CONTOSO_USER": "me", "CONTOSO_PASSWORD": "secret"}
    structured = read_list((ROOT / "examples/images.yaml").read_text(encoding="utf-8"), environ).entries
    plain = read((ROOT / "examples/images.txt").read_text(encoding="utf-8")).entries
    assert structured[0].values["image"] == ["mirror/{registry}/{repository}:{tag}"]
    assert structured[-1].values["password"] == "secret"
    assert [each.values.get("image") for each in plain] == [
        None, ["mirror/nginx:1.27"], ["base/dotnet-runtime:9.0"], None
    ]  # fmt: skip


def test_documentation_has_every_key_and_reads() -> None:
    page = (ROOT / "docs/lists.md").read_text(encoding="utf-8")
    table = page[page.index("### The keys") : page.index("### Passwords")]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert sorted(key for row in rows for key in re.findall("`([a-z-]+)`", row)) == sorted(KEYS)
    blocks = re.findall(r"```(?:yaml|json|text)\n(.*?)```", page, re.DOTALL)
    lists = [each for each in blocks if "source" in each or each.startswith("docker.io")]
    assert len(lists) == 4
    for each in lists:
        read(each, {"CONTOSO_USER": "me", "CONTOSO_PASSWORD": "secret"})


# Values.


@pytest.mark.usefixtures("_loader")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("image: app:1.10", {"image": ["app:1.10"]}),
        ("tags: [1.20, 1e3, 0x10, 010, yes, 2024-01-01, 'a*', 1.]",
         {"tags": ["1.20", "1e3", "0x10", "010", "yes", "2024-01-01", "a*", "1."]}),
        ("tags: 1.10", {"tags": ["1.10"]}),
        ("semver: 1.10", {"semver": "1.10"}),
        ("latest: 10", {"latest": 10}),
        ("all_tags: True", {"all-tags": True}),
        ("force: off", {"force": False}),
        ("with-aliases: yes", {"with-aliases": True}),
        ("via: Local", {"via": "local"}),
        ("referrers: true", {"referrers": True}),
        ("referrers: 'true'", {"referrers": ["true"]}),
        ("referrers: [application/spdx+json]", {"referrers": ["application/spdx+json"]}),
        ("resource_group: !!str 12", {"resource-group": "12"}),
        ("platform:\n  - linux/amd64\n  - linux/arm64", {"platform": ["linux/amd64", "linux/arm64"]}),
    ],
)  # fmt: skip
def test_values_are_as_they_are_written(text: str, expected: dict[str, Any]) -> None:
    assert entry(text) == expected


@pytest.mark.usefixtures("_loader")
@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("sorce: x", "there is no key 'sorce': did you mean source?"),
        ("alltags: true", "there is no key 'alltags': did you mean all-tags?"),
        ("zzz: true", "there is no key 'zzz': the keys are source, registry,"),
        ("<<: {force: true}", "there is no key '<<'"),
        ("[a]: b", "a key is to be a text"),
        ("force: maybe", "force is to be true or false"),
        ("force: [true]", "force is to be true or false"),
        ("latest: some", "latest is to be a number"),
        ("latest: 1.5", "latest is to be a number"),
        ("latest: 0x10", "latest is to be a number"),
        ("latest: 0", "--latest is 0"),
        ("via: docker", "via is to be auto, service or local"),
        ("name: [a]", "name is to be a text"),
        ("name:", "name is to be a text, and has no value"),
        ("name: ''", "name is to be a text, and has no value"),
        ("name: ~", "name is to be a text, and has no value"),
        ("tags: []", "tags is to be a text or a list of texts, and is empty"),
        ("tags: {a: b}", "tags is to be a text or a list of texts"),
        ("tags: [[a]]", "tags is to be a text"),
        ("tags: [a, null]", "tags is to be a text, and has no value"),
        ("tags: a,b", "--tags 'a,b' is not a pattern"),
        ("exclude-tags: a", "--exclude-tags only takes away"),
        ("semver: banana", "--semver: the range 'banana'"),
        ("image: x/{repo}", "--image 'x/{repo}': there is no field"),
        ("repository: x/{", "--repository 'x/{': a brace"),
        ("username: me", "--username is given without password"),
        ("source-identity: cli\n  password: p", "--source-identity and password are both given"),
        ("source: a.io/c", "source is given twice, first on line 1"),
    ],
)
def test_a_mistake_is_told_with_the_line_of_its_key(text: str, mistake: str) -> None:
    ((line, told),) = mistakes(f"- source: a.io/b\n  {text}")
    assert (line, told[: len(mistake)]) == (2, mistake)


@pytest.mark.usefixtures("_loader")
def test_all_mistakes_are_told_at_once_by_line() -> None:
    def check(found: ListEntry) -> None:
        if found.values["source"] == "bad":
            raise InvalidRequest("--source 'bad' names no registry")
        if "image" in found.values:
            raise InvalidReference("'?' is not a tag")

    text = """\
defaults:
  sources: x
  semver: ">"
images:
- a.io/b
- c.io/d
-
  force: maybe
  image: 1
- [a]
-
- source: bad
- force: true
  source:
    bad
- source: a.io/x
  image: a:?
  username: u
- password: ${X}
  source: a.io/b:1
"""
    assert [line for line, _ in mistakes(text, check=check)] == [2, 3, 8, 10, 11, 12, 14, 16, 18, 19]
    assert (12, "--source 'bad' names no registry") in mistakes(text, check=check)


@pytest.mark.parametrize(
    ("text", "line", "mistake"),
    [
        ("", 1, "there are no images"),
        ("# nothing\n", 1, "there are no images"),
        ("images: []", 1, "there are no images"),
        ("defaults: {force: true}", 1, "there is no list of images"),
        ("images:\n  a: b", 2, "images is to be a list"),
        ("defaults: [a]\nimages: [a.io/b]", 1, "defaults is to be a mapping"),
        ("defaults:\n  source: x\nimages: [a.io/b]", 2, "source is for an entry"),
        ("--- a", 1, "it is to be a list of images"),
        ("\na.io/b c d", 2, "there are more than a source and its name"),
        ("- force: true", 1, "there is no source"),
    ],
)
def test_documents_that_are_no_lists(text: str, line: int, mistake: str) -> None:
    ((found, told),) = mistakes(text)
    assert (found, told[: len(mistake)]) == (line, mistake)


# What holds for an entry.


@pytest.mark.parametrize(
    ("defaults", "said", "below", "expected"),
    [
        ("force: true, via: local", "via: auto", {"via": "service", "platform": ["x"]},
         {"force": True, "via": "auto", "platform": ["x"]}),
        ("force: true", "force: false", {}, {"force": False}),
        ("tags: [a]", "latest: 3", {}, {"tags": ["a"], "latest": 3}),
        ("username: u, password: p", "password: q", {}, {"password": "q"}),
        ("username: u, password: p", "source-identity: cli", {}, {"source-identity": "cli"}),
        ("password: p", "force: true", {"username": "u", "source-identity": "cli"}, {"force": True, "password": "p"}),
        ("force: true", "via: auto", {"username": "u", "password": "p"},
         {"force": True, "via": "auto", "username": "u", "password": "p"}),
        ("image: 'a/{name}'", "repository: b", {}, {"repository": ["b"]}),
        ("repository: b", "force: true", {"image": ["a"], "latest": None}, {"repository": ["b"], "force": True}),
        ("latest: 3", "source: a.io/b:1", {"all-tags": True}, {}),
        ("tags: [x]", "source: 'a.io/b@sha256:0'", {}, {}),
        ("registry: r, password: p, force: true", "source: oci:dir", {"latest": 1}, {"force": True}),
    ],
)  # fmt: skip
def test_what_an_entry_says_goes_before_the_defaults_and_those_before_the_command_line(
    defaults: str, said: str, below: dict[str, Any], expected: dict[str, Any]
) -> None:
    said = said if said.startswith("source:") else f"source: a.io/b, {said}"
    (found,) = values(f"defaults: {{{defaults}}}\nimages:\n- {{{said}}}", below=NAME | below)
    assert {key: value for key, value in found.items() if key != "source"} == expected


def test_a_mistake_in_the_defaults_is_told_once_and_there() -> None:
    text = "defaults:\n  latest: 0\nimages:\n- a.io/b\n- a.io/c\n- a.io/d:1"
    assert mistakes(text) == [(2, "--latest is 0: give a number from 1")]


def test_every_entry_needs_a_target_registry() -> None:
    text = "- a.io/b\n- {source: a.io/c, name: other}\n- a.io/d"
    assert [each.values["name"] for each in read(text).entries] == ["myregistry", "other", "myregistry"]
    ((line, told),) = mistakes(text, below={})
    assert line == 1
    assert "nor for 1 more entries" in told


def test_tags_are_not_chosen_from_an_image() -> None:
    ((line, told),) = mistakes("- source: a.io/b:1\n  force: true\n  latest: 3")
    assert line == 1
    assert "names one image" in told


def test_a_filter_is_made_of_what_holds_for_the_entry() -> None:
    (found,) = read("defaults: {latest: 1}\nimages: [{source: a.io/b, tags: ['1.*']}]").entries
    assert found.tag_filter.select(["1.9", "1.10", "2.0"]) == ["1.10"]


# Secrets.


def test_credentials_are_taken_from_the_environment_and_nothing_else_is() -> None:
    environ = {"USER_1": "me", "PW": "s$3", "B": "${PW}"}
    text = "- {source: 'a.io/${PW}', username: '${USER_1}', password: 'x${PW}y${B}$PW${', image: '${PW}'}"
    seen: list[ListEntry] = []
    with pytest.raises(InvalidList):  # the braces of a name are those of a template
        read(text, environ, check=seen.append)
    (found,) = seen
    assert found.values["source"] == "a.io/${PW}"
    assert (found.values["username"], found.values["password"]) == ("me", "xs$3y${PW}$PW${")


@pytest.mark.usefixtures("_loader")
@pytest.mark.parametrize(
    "password",
    ["${EMPTY}hunter2", "[hunter2]", "{hunter2: x}", "!hunter2 x", "!hunter2!x y", "*hunter2",
     "'hunter2", "\"hunter2\\q\"", "@hunter2", "hunter2: hunter2", "&a [*hunter2]", "%hunter2", "hunter2\x07"],
)  # fmt: skip
def test_no_mistake_shows_a_password(password: str) -> None:
    text = f"- source: a.io/b\n  password: {password}\n"
    with pytest.raises(InvalidList) as raised:
        read(text, {"EMPTY": ""})
    assert "hunter2" not in str(raised.value)
    assert "hunter2" not in repr(raised.value)
    assert raised.value.mistakes[0].line in (2, 3)


def test_an_entry_that_is_printed_hides_its_values() -> None:
    (found,) = read("- {source: a.io/b, password: hunter2}").entries
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize("below", [{"password": "p"}, {}])
def test_one_password_for_all_is_for_one_registry(below: dict[str, str]) -> None:
    defaults = "{}" if below else "{username: u, password: p}"
    text = (
        f"defaults: {defaults}\nimages:\n- a.io/b\n- A.io/c\n- {{source: c.io/d, password: own}}\n- oci:dir\n"
        "- {source: b, registry: a.io}\n"
    )
    assert len(read(text, below=NAME | below).entries) == 5
    ((line, told),) = mistakes(text + "- d.io/b\n- e.io/b", below=NAME | below)
    assert line == 8
    assert "would go to d.io as well as to a.io (line 3)" in told


# What nobody means well.


@pytest.mark.usefixtures("_loader")
@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("- &a [x]\n- *a", "aliases"),
        ("- &a {source: x}\n- <<: *a", "aliases"),
        ("- !!python/object/apply:os.system [x]", "tags (!name)"),
        ("- a.io/b\n--- \n- a.io/c", "there is a second document"),
        ("[" * 50_000, ""),
        ("- " * 50_000, "there is more nesting"),
        ("images: " + "{a: " * 12 + "1" + "}" * 12, "there is more nesting"),
        ("- a.io/b\n- \x00", ""),
        ("- a.io/b\n- \ud800", ""),
        ("- a: b: c", "cannot be read: mapping values are not allowed"),
        ("- [a.io/b", "cannot be read"),
        ("- a\n\t- b\n", "cannot be read"),
        ('{"images": ["a.io/b"]}}', "cannot be read"),
    ],
)
def test_documents_that_are_refused(text: str, mistake: str) -> None:
    ((line, told),) = mistakes(text)
    assert 1 <= line <= text.count("\n") + 1
    assert mistake in told


@pytest.mark.parametrize("line", ["a.io/b\n", "- a.io/b\n"])
def test_a_list_has_its_bounds(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_ENTRIES >= 10_000
    monkeypatch.setattr("azext_acrimport.lists.document.MAX_ENTRIES", 3)
    assert len(read(line * 3).entries) == 3
    ((found, told),) = mistakes(line * 5)
    assert (found, "divide the list" in told) == (4, True)
    monkeypatch.setattr("azext_acrimport.lists.nodes.MAX_NODES", 20)
    if line.startswith("-"):
        assert "too long" in mistakes(line * 50)[0][1]


@given(st.text(alphabet="- {}[]:,'\"#&*!|>%@\n\tab/${\\\u2028\x85?", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        lines = [each.line for each in read(text).entries]
    except InvalidList as ex:
        lines = [each.line for each in ex.mistakes]
    assert lines
    assert all(1 <= line <= len(text) + 1 for line in lines)


def test_only_some_of_many_mistakes_are_printed() -> None:
    few, many = (InvalidList(tuple(Mistake(line, "wrong") for line in range(count, 0, -1))) for count in (2, 50))
    assert str(few) == "the list has 2 mistakes:\n  line 1: wrong\n  line 2: wrong"
    assert str(many).count("wrong") == MOST_SHOWN
    assert str(many).endswith("\n  line 20: wrong\n  and 30 more")
    assert str(InvalidList((Mistake(7, "wrong"),) * 2)) == "the list cannot be used: line 7: wrong"
