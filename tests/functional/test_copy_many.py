# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Many images at once, each in a repository of its own: what it costs grows with their number and no faster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from azext_acrimport.registry.credentials import Password
from azext_acrimport.transfer.copier import CopySettings, Root, Target, copy_all
from azext_acrimport.transfer.result import CopyResult
from emulator import content
from emulator.auth import BearerAuth, TokenService
from tests.support.lab import Lab, artifact_of

CONNECTIONS = 8
SETTINGS = CopySettings(max_connections=CONNECTIONS, bulk_connections=2)
BASE = content.blob(3000, "base")


def image_of(number: int) -> content.Artifact:
    """An image with a layer of its own and one that all share."""
    layers = (BASE, content.blob(500, f"own-{number}"))
    config = b'{"number": %d}' % number
    fields = {
        "schemaVersion": 2,
        "mediaType": content.OCI_MANIFEST,
        "config": content.describe(config, content.OCI_CONFIG),
        "layers": [content.describe(layer, content.OCI_LAYER) for layer in layers],
    }
    return artifact_of(fields, content.OCI_MANIFEST, (config, *layers))


def guard(lab: Lab) -> None:
    """Have both registries ask for tokens, which they make for each repository."""
    for app in (lab.source_app, lab.target_app):
        host = lab.server.serve_plain(tokens := TokenService({"user": "secret"}, clock=lab.clock.now))
        app.authorise = BearerAuth(tokens, realm=f"http://{host}/token", service="registry.example")
    lab.source_credentials = lab.target_credentials = Password("user", "secret")


def names(count: int) -> list[str]:
    return [f"team/app{number}" for number in range(count)]


def copy_many(lab: Lab, count: int) -> Counter[str]:
    """Copy so many images; return how many requests of each kind that took."""
    for number, name in enumerate(names(count)):
        lab.put(image_of(number), repository=name)
    lab.server.log.clear()
    source, to = lab.source, lab.target
    outcomes = copy_all(
        [Root(source.repository(name), "v1", (Target(to.repository(name), ("v1",)),)) for name in names(count)],
        settings=SETTINGS,
    )
    assert all(isinstance(outcome, CopyResult) for outcome in outcomes)
    return Counter(f"{each.method} {each.path.split('/')[-2]}" for each in lab.server.log if each.status != 401)


@pytest.mark.parametrize("prepare", [lambda lab: None, guard], ids=["open", "with tokens"])
def test_requests_grow_with_the_images_and_no_faster(lab: Lab, prepare: Callable[[Lab], None]) -> None:
    prepare(lab)
    forty = sum(copy_many(lab, 40).values())
    for app in (lab.source_app, lab.target_app):
        for name in app.store.names():
            app.store.delete(name)
    eighty = sum(copy_many(lab, 80).values())

    assert eighty <= 2 * forty + CONNECTIONS
    assert eighty <= 80 * 17


def test_a_second_run_asks_for_names_only(lab: Lab) -> None:
    copy_many(lab, 40)

    asked = copy_many(lab, 40)

    assert {kind.partition(" ")[0] for kind in asked} <= {"GET", "HEAD"}
    assert sum(asked.values()) == 40 * 3  # the tag on both sides, and whether the target's repository has any


def test_a_blob_of_all_is_moved_once_and_mounted_for_the_rest(lab: Lab) -> None:
    copy_many(lab, 40)

    base = content.digest_of(BASE)
    assert len(lab.asked(lab.source_host, "GET", f"/blobs/{base}")) == 1
    mounts = [entry for entry in lab.asked(lab.target_host, "POST") if entry.arg("mount") == base]
    assert Counter(entry.status for entry in mounts) == {202: 1, 201: 39}


def test_connections_and_tokens_are_for_all(lab: Lab) -> None:
    guard(lab)
    copy_many(lab, 40)

    log = lab.server.log
    for host in (lab.source_host, lab.target_host):
        assert log.connections(host) <= CONNECTIONS + 1  # one is for tags that are asked for ahead
    asked = [entry.query for entry in log if entry.path == "/token"]
    scopes = Counter(tuple(value for key, value in query if key == "scope") for query in asked)
    assert set(scopes.values()) == {1}
    own = {(f"repository:{name}:{actions}",) for name in names(40) for actions in ("pull", "pull,push")}
    assert own == {scope for scope in scopes if len(scope) == 1}
    assert len(scopes) == len(own) + 39  # a mount is from another repository, which its token has to allow, too


@pytest.mark.parametrize("action", ["metadata_read", "pull"])
def test_a_registry_that_refuses_its_tags_is_not_asked_for_each_repository(lab: Lab, action: str) -> None:
    """ACR wants a right of its own for that."""
    guard(lab)
    lab.behave(lab.target_app, tags_action=action)

    copy_many(lab, 40)

    refused = [entry for entry in lab.asked(lab.target_host, "GET", "/tags/list") if entry.status == 401]
    assert len(refused) <= (2 * CONNECTIONS if action == "metadata_read" else CONNECTIONS)
