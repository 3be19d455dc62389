# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Small blobs that wait: how many one worker gets, and which of them."""

from __future__ import annotations

import pytest

from azext_acrimport.oci.descriptor import Descriptor
from azext_acrimport.registry.registry import Registry
from azext_acrimport.registry.transport import Transport
from azext_acrimport.transfer.nodes import BlobNode, Root, Tally, Target
from azext_acrimport.transfer.pending import Pending

MIB = 1 << 20


def node(size: int, target: str = "app", mount_from: str = "") -> BlobNode:
    with Transport() as transport:
        source = Registry("src.example", transport=transport).repository("app")
        goal = Registry("dst.example", transport=transport).repository(target)
    root = Root(source, "v1", (Target(goal, ("v1",)),))
    blob = Descriptor(f"sha256:{size:064x}", size, "application/octet-stream")
    made = BlobNode(source, goal, blob, Tally(root))
    made.mount_from = mount_from
    return made


@pytest.fixture(scope="module")
def one() -> BlobNode:
    return node(1)


def like(one: BlobNode, *sizes: int) -> list[BlobNode]:
    blobs = [Descriptor(f"sha256:{size:064x}", size, "application/octet-stream") for size in sizes]
    return [BlobNode(one.source, one.target, blob, one.tally) for blob in blobs]


def waiting(*nodes: BlobNode, together: int = 8) -> Pending:
    pending = Pending(together)
    for each in nodes:
        pending.add(each)
    return pending


def taken(pending: Pending, workers: int) -> list[list[int]]:
    parts = []
    while nodes := pending.take(workers):
        parts.append([each.blob.size for each in nodes])
    return parts


def test_each_goes_alone_where_there_are_workers_enough(one: BlobNode) -> None:
    assert taken(waiting(*like(one, 1, 2, 3)), 3) == [[3], [2], [1]]


def test_share_of_one_worker_is_less_and_less(one: BlobNode) -> None:
    assert taken(waiting(*like(one, *range(1, 10))), 3) == [[9, 8, 7], [6, 5], [4, 3], [2], [1]]


def test_no_more_than_is_allowed(one: BlobNode) -> None:
    assert taken(waiting(*like(one, 1, 2, 3, 4, 5), together=2), 1) == [[5, 4], [3, 2], [1]]


def test_not_too_many_bytes_but_always_one(one: BlobNode) -> None:
    sizes = (5 * MIB, 3 * MIB, MIB, MIB + 1)
    assert taken(waiting(*like(one, *sizes)), 1) == [[5 * MIB], [3 * MIB], [MIB + 1, MIB]]


def test_only_what_goes_the_same_way() -> None:
    nodes = [node(4), node(3, "other"), node(2, mount_from="base"), node(1)]
    nodes[3] = like(nodes[0], 1)[0]
    assert taken(waiting(*nodes), 1) == [[4, 1], [3], [2]]


def test_nothing_waits() -> None:
    assert Pending(8).take(4) == []
