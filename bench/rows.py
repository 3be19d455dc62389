# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""What is measured: the workloads, the rows of the table, and the goal of each."""

from __future__ import annotations

from dataclasses import dataclass, field

MIB = 1 << 20
_PLATFORMS = 2
_LAYERS = 6


@dataclass(frozen=True)
class Workload:
    """Images in one repository: ``large`` layers of this size in one image, or ``many`` images of small layers.

    ``apart``: each of the images is in a repository of its own.
    """

    name: str
    title: str
    layers: int = 0
    layer_bytes: int = 0
    images: int = 1
    apart: bool = False

    @property
    def many(self) -> bool:
        """Whether it is many small images."""
        return self.images > 1

    @property
    def size_bytes(self) -> int:
        """How much there is to copy, roughly where sizes are drawn by lot."""
        if not self.many:
            return self.layers * self.layer_bytes
        return self.images * _PLATFORMS * _LAYERS * MIB // 2


def workloads(*, quick: bool) -> dict[str, Workload]:
    """The workloads by name; smaller ones for a quick run."""
    scale = 8 if quick else 1
    return {
        workload.name: workload
        for workload in (
            _large("big", 8, 128 * MIB // scale),
            _large("huge", 1, 2048 * MIB // scale),
            _large("medium", 8, 16 * MIB // (4 if quick else 1)),
            _large("single", 1, 256 * MIB // (2 if quick else 1)),
            _many("small", 20 if quick else 40),
            _many("apart", 20 if quick else 40, apart=True),
        )
    }


def _large(name: str, layers: int, size: int) -> Workload:
    what = f"{layers} layers" if layers > 1 else "one layer"
    return Workload(name, f"{what} of {size // MIB} MiB", layers, size)


def _many(name: str, images: int, *, apart: bool = False) -> Workload:
    where = f" in {images} repositories" if apart else ""
    title = f"{images} images{where} of {_PLATFORMS} × {_LAYERS} layers of 64 KiB to 1 MiB"
    return Workload(name, title, images=images, apart=apart)


@dataclass(frozen=True)
class Link:
    """The way to a registry: what a round trip takes, and what each connection carries each way (0: no limit)."""

    round_trip_ms: float = 0
    cap_mib: float = 0

    @property
    def is_direct(self) -> bool:
        """Whether nothing has to stand in between."""
        return not self.round_trip_ms and not self.cap_mib


@dataclass(frozen=True)
class Goal:
    """What to reach, as ratios to the best peer: its wall time, and its processor time.

    ``per_connection``: the wall time goes down with the number of connections to the source, of which there have to
    be at least two. ``requests``: no more of them than crane sends. ``no_bytes``: nothing is sent but names.
    """

    wall: float | None = None
    cpu: float | None = None
    per_connection: bool = False
    requests: bool = False
    no_bytes: bool = False


@dataclass(frozen=True)
class Row:
    """One row: a workload, the way that it goes, and its goal. Without a goal it is there to compare with."""

    name: str
    title: str
    workload: str
    tls: bool = False
    source: Link = field(default_factory=Link)
    target: Link = field(default_factory=Link)
    warm: bool = False
    within: bool = False
    goal: Goal = field(default_factory=Goal)

    @property
    def needs_proxy(self) -> bool:
        """Whether a slow network has to be played."""
        return not (self.source.is_direct and self.target.is_direct)


_FAR = Link(round_trip_ms=40)
_CAPPED = Link(cap_mib=40)

ROWS = (
    Row("W1", "one image, plain HTTP", "big", goal=Goal(0.95, cpu=0.95)),
    Row("W1-tls", "one image, TLS", "big", tls=True, goal=Goal(0.98, cpu=0.95)),
    Row("W2", "one huge layer, plain HTTP", "huge", goal=Goal(0.97)),
    Row("W2-tls", "one huge layer, TLS", "huge", tls=True, goal=Goal(0.88)),
    Row("W3", "many small images, plain HTTP", "small", goal=Goal(0.80, cpu=0.65)),
    Row("W3-tls", "many small images, TLS", "small", tls=True, goal=Goal(0.75, cpu=0.65)),
    Row("W4", "W3 again, nothing to do, 40 ms", "small", False, _FAR, _FAR, warm=True, goal=Goal(0.30, requests=True)),
    Row("W4-tls", "the same over TLS", "small", True, _FAR, _FAR, warm=True),
    Row("W4-near", "W3 again, nothing to do, no delay", "small", warm=True),
    Row("W5", "many small images, 40 ms", "small", False, _FAR, _FAR, goal=Goal(0.55)),
    Row("W5-tls", "the same over TLS", "small", True, _FAR, _FAR),
    Row("W5b", "medium layers, 40 ms", "medium", False, _FAR, _FAR, goal=Goal(0.55)),
    Row("W6", "one layer, source capped per connection", "single", source=_CAPPED, goal=Goal(1.1, per_connection=True)),
    Row("W6-both", "one layer, both sides capped", "single", source=_CAPPED, target=_CAPPED, goal=Goal(1.0)),
    Row("W7", "W3 within one registry", "small", within=True, goal=Goal(0.65, no_bytes=True)),
    Row("W7-far", "the same, 40 ms", "small", False, _FAR, _FAR, within=True, goal=Goal(0.50, no_bytes=True)),
    Row("W8", "many images, each in a repository of its own", "apart"),
    Row("W8-far", "the same, 40 ms", "apart", False, _FAR, _FAR),
    Row("W8-far-tls", "the same over TLS", "apart", True, _FAR, _FAR),
)
QUICK_ROWS = "W1,W1-tls,W2,W2-tls,W3,W3-tls,W4,W5,W5b,W6,W7,W7-far,W8,W8-far"


def select(names: str) -> list[Row]:
    """The rows of these names, separated by commas; ``W3`` stands for that row alone, ``W3*`` for all that begin so.

    :raises ValueError: there is no such row.
    """
    chosen: list[Row] = []
    for name in names.split(","):
        found = [row for row in ROWS if row.name == name or (name.endswith("*") and row.name.startswith(name[:-1]))]
        if not found:
            raise ValueError(f"no row is called {name}; there are {', '.join(row.name for row in ROWS)}")
        chosen += [row for row in found if row not in chosen]
    return chosen
