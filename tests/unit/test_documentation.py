# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""What the documentation says of the code is so: rules, texts of errors, keys, names of tests, links."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from azext_acrimport.explain import Shown
from azext_acrimport.outcome import Outcome, Status
from azext_acrimport.plan import RULES, Case, NetworkFacts, NetworkSettings, Obstacle, Route, Via
from azext_acrimport.refusals import Kind, classify
from azext_acrimport.registry import causes
from scripts import draw_route

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
TROUBLESHOOTING = ROOT / "docs" / "troubleshooting.md"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
_FENCE = re.compile(r"^ *```.*?^ *```", re.M | re.S)


def section(page: Path, title: str) -> str:
    """What stands below a heading, up to the next."""
    _, _, rest = page.read_text(encoding="utf-8").partition(f"\n## {title}\n")
    assert rest, f"{page.name} has no section {title}"
    return rest.partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of a table's rows, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [row for before, row in pairwise(cells) if not set("".join(before + row)) <= set(" -:")][1:]


# The rules of the route


def test_the_diagram_and_the_tables_are_those_of_the_rules() -> None:
    assert draw_route.DIAGRAM.read_text(encoding="utf-8") == draw_route.diagram(), "run `make docs`"
    for page in draw_route.PAGES:
        text = page.read_text(encoding="utf-8")
        assert text == draw_route.inserted(text), f"{page.name}: run `make docs`"


def test_a_page_without_marks_is_not_written_into() -> None:
    with pytest.raises(ValueError, match="no marks"):
        draw_route.inserted("# A page\n")


def test_every_outcome_has_a_rule_and_is_told_apart() -> None:
    assert {rule.then for rule in RULES} == {*Route, *Obstacle}
    assert [rule.may_fall_back for rule in RULES] == [False] * (len(RULES) - 1) + [True]
    assert len({rule.when for rule in RULES}) == len(RULES)


OPEN = NetworkFacts("open")
CLOSED = NetworkFacts("closed", NetworkSettings("Disabled", "Deny", "None"))
TRUSTING = NetworkFacts("trusting", NetworkSettings("Disabled", "Allow", "AzureServices"))
NO_EXPORT = NetworkFacts("kept", NetworkSettings(export_policy="disabled"))
UNSEEN = NetworkFacts("unseen", in_arm=False)
PRIVATE = NetworkFacts("registry.corp", is_acr=False, in_arm=False, is_private_host=True)


@pytest.mark.parametrize(
    ("words", "case"),
    [
        ("`--via local` is", Case(OPEN, NO_EXPORT, Via.LOCAL)),
        ("that only a copy from here has", Case(OPEN, OPEN, Via.SERVICE, local_options=["--platform"])),
        ("`--via service` is asked for, and Azure", Case(UNSEEN, OPEN, Via.SERVICE)),
        ("`--via service` is asked for", Case(CLOSED, NO_EXPORT, Via.SERVICE)),
        ("`exportPolicy` is disabled", Case(CLOSED, NO_EXPORT)),
        ("an option is given", Case(OPEN, OPEN, local_options=["--platform"])),
        ("does not show you the target", Case(UNSEEN, CLOSED)),
        ("the target is restricted and not trusting", Case(CLOSED, CLOSED)),
        ("restricted and not trusting", Case(OPEN, CLOSED)),
        ("given by login server with credentials", Case(OPEN, TRUSTING)),
        ("its address is private", Case(OPEN, PRIVATE)),
        ("otherwise", Case(TRUSTING, OPEN)),
    ],
    ids=range(1, 13),
)
def test_the_words_of_a_rule_are_what_it_decides(words: str, case: Case, request: pytest.FixtureRequest) -> None:
    applying = next(rule for rule in RULES if rule.reason(case))

    assert words in applying.when
    assert RULES.index(applying) + 1 == int(request.node.callspec.id)


# The texts of errors


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Every text in the code, with ``...`` for what is put into it."""
    found = []
    for path in (ROOT / "azext_acrimport").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append(
                    "".join(str(part.value) if isinstance(part, ast.Constant) else "..." for part in node.values)
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value.replace("%s", "...").replace("{}", "..."))
    return found


OWN_SECTIONS = (
    "Finding a registry",
    "Connections",
    "Rights",
    "Routes",
    "Tags",
    "Content",
    "Lists and tag filters",
    "Endings",
)
QUOTED = [
    (title, quoted)
    for title in OWN_SECTIONS
    for row in rows(section(TROUBLESHOOTING, title))
    for quoted in re.findall(r"`([^`]+)`", row[0])
]
SAID_BY_OTHERS = {"client with IP '...' is not allowed access", "no way to ...: it answered 407"}


@pytest.mark.parametrize(("title", "quoted"), [each for each in QUOTED if each[1] not in SAID_BY_OTHERS])
def test_an_error_that_is_explained_is_one_that_the_command_has(texts: list[str], title: str, quoted: str) -> None:
    # An option may stand where the code has the name of the setting that it comes from.
    parts = [part.strip(" .:") for part in re.split(r"\.\.\.|--via(?= service)", quoted)]

    for part in filter(None, parts):
        assert any(part in text for text in texts), f"{title}: no error says {part!r}"


def test_every_way_in_which_a_connection_fails_is_explained() -> None:
    explained = " ".join(row[0] for row in rows(section(TROUBLESHOOTING, "Connections")))

    for _, _, words in causes._meanings():
        assert words.partition(" (")[0].replace("{}", "") in explained


SERVICE_ROWS = [
    (quoted, row[1], row[3])
    for row in rows(section(TROUBLESHOOTING, "What the service says"))
    for quoted in re.findall(r"`([^`]+)`", row[0])
]


@pytest.mark.parametrize(("said", "side", "then"), SERVICE_ROWS)
def test_what_the_service_says_is_read_as_the_page_has_it(said: str, side: str, then: str) -> None:
    refusal = classify(said.replace("...", ""), target_host="myregistry.azurecr.io")

    assert ("copied from here" in then) is refusal.curable
    assert side == "the one that is named" or side == (refusal.side or "unknown")


def test_every_way_in_which_the_service_refuses_is_explained() -> None:
    explained = {classify(said, target_host="").kind for said, _, _ in SERVICE_ROWS}

    assert explained == set(Kind) - {Kind.UNKNOWN}


# The result


def test_the_result_in_the_readme_has_the_keys_and_values_of_a_result() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", section(README, "The result"), re.S)
    statuses = {row[0].strip("`") for row in rows(section(README, "The result"))}
    real = Outcome(Status.FAILED, "myregistry", "docker.io/library/nginx:1.27", error=Shown("", "no")).as_dict()

    assert list(json.loads(block)) == sorted(real, key=list(json.loads(block)).index)
    assert set(json.loads(block)) == set(real)
    assert statuses == {each.value for each in Status}


# Options


def options() -> list[list[str]]:
    """The options of each argument that is the command's own, the short ones too."""
    found = []
    for node in ast.walk(ast.parse((ROOT / "azext_acrimport" / "_params.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "argument":
            given = {each.arg: each.value for each in node.keywords}
            name = ast.literal_eval(node.args[0])
            if name != "resource_group_name":
                listed = given.get("options_list")
                found.append(ast.literal_eval(listed) if listed else [f"--{name.replace('_', '-')}"])
    return found


@pytest.mark.parametrize("names", options(), ids=lambda names: names[0])
def test_every_option_is_in_the_readme_and_in_a_test_with_the_real_az(names: list[str]) -> None:
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "cli").glob("*.py"))
    readme = README.read_text(encoding="utf-8")

    for text in (tests, readme):
        assert any(re.search(rf"(?<![\w-]){name}(?![\w-])", text) for name in names)


# Names


def test_the_tests_that_are_named_exist() -> None:
    for page in (ROOT / "SECURITY.md", ROOT / "CONTRIBUTING.md"):
        named = re.findall(r"`(tests/[\w/*.]+?)(?:::(\w+))?`", page.read_text(encoding="utf-8"))
        assert named
        for pattern, test in named:
            files = list(ROOT.glob(pattern))
            assert files, f"{page.name}: {pattern}"
            assert not test or any(f"def {test}(" in file.read_text(encoding="utf-8") for file in files), test


def modules(page: Path) -> Iterator[Path]:
    """The modules in the first column of a page's tables; one without a folder is in that of the one before."""
    for row in rows(page.read_text(encoding="utf-8")):
        folder = Path()
        for name in re.findall(r"`([\w/]+\.py)`", row[0]):
            folder = Path(name).parent if "/" in name else folder
            yield ROOT / "azext_acrimport" / folder / Path(name).name


def test_the_modules_that_are_named_exist() -> None:
    named = [*modules(ROOT / "docs" / "copier.md"), *modules(ROOT / "CONTRIBUTING.md")]

    assert len(named) > 50
    assert [path for path in named if not path.exists()] == []


def anchors(page: Path) -> set[str]:
    """The names that a page's headings have on the web."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """Where a page's links lead within the project."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if not link.startswith(("http:", "https:", "mailto:")):
            path, _, anchor = link.partition("#")
            yield ((page.parent / path).resolve() if path else page), anchor


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for path, anchor in links(page):
        assert path.exists(), f"{page.name} links to {path}"
        assert not anchor or anchor in anchors(path), f"{page.name} links to #{anchor} in {path.name}"


def test_every_page_is_in_the_readme() -> None:
    assert {path for path, _ in links(README)} >= set((ROOT / "docs").glob("*.md"))
