# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""One run: a copy under faults, and what there is to say against how it ended."""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from dataclasses import dataclass, field

from azext_acrimport.oci.errors import OciError
from azext_acrimport.registry.errors import RegistryFailure
from azext_acrimport.registry.transport import Transport
from azext_acrimport.transfer.copier import Root, copy
from azext_acrimport.transfer.errors import CopyError, Side
from bench.fault_kinds import choose_faults
from bench.fault_world import STALL_SECONDS, FastClock, Scenario, World, choose_scenario
from emulator.blobs import digest_of
from emulator.faults import Fault
from emulator.http import LogEntry, Server

HANG_SECONDS = 20.0  # far above what any run takes
# What a fault of these leaves behind nobody can clear away: the client never learns where the session is, or its word
# that it ends is lost.
_OPENS_OR_ENDS = ("POST", "DELETE")


@dataclass
class Verdict:
    """How a run ended. ``odd`` holds what must not be; ``corrupted`` what is worst of it."""

    seed: int
    scenario: Scenario | None = None
    faults: list[Fault] = field(default_factory=list)
    injected: Counter[str] = field(default_factory=Counter)
    failure: str = ""
    odd: list[str] = field(default_factory=list)
    corrupted: bool = False
    sessions_lost: int = 0
    tagged_unheard: bool = False
    log: list[LogEntry] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        """In one or two words."""
        if self.odd:
            return "odd"
        if self.failure:
            return "failed cleanly"
        return "survived" if self.injected else "untouched"


def run_once(seed: int) -> Verdict:
    """A run that this number determines, as far as the timing of threads does not matter."""
    rng = random.Random(f"faults/{seed}")
    verdict = Verdict(seed)
    sockets_before = _sockets()
    with Server() as server:
        clock = FastClock(seed)
        verdict.scenario = choose_scenario(rng, seed)
        world = World(verdict.scenario, server, clock)
        verdict.faults = choose_faults(rng, world)
        server.faults.add(*verdict.faults)
        if any(fault.action.kind == "stall" for fault in verdict.faults):
            world.socket_seconds = STALL_SECONDS
        _Run(world, verdict).judge()
    if (left := _sockets() - sockets_before) > 0:
        verdict.odd.append(f"{left} sockets left open")
    return verdict


class _Run:
    """A copy under faults, a second one without, and the questions that are put to both."""

    def __init__(self, world: World, verdict: Verdict) -> None:
        self._world = world
        self._verdict = verdict

    def judge(self) -> None:
        """Fill the verdict."""
        world, verdict = self._world, self._verdict
        failure = self._copy(world.clock)
        verdict.injected = Counter(world.server.faults.injected)
        verdict.log = list(world.server.log)
        verdict.names = {
            host: f"{name} {part}"
            for name, side in (("source", world.source), ("target", world.target))
            for part, host in side.hosts.items()
        }
        self._check_content()
        self._check_sessions()
        if failure is None:
            self._check_complete("after success")
        else:
            verdict.failure = _text(failure)
            self._check_failure(failure)
            self._rerun()
        verdict.odd += [f"the emulator failed: {error.splitlines()[-1]}" for error in world.server.errors]

    def _copy(self, clock: FastClock) -> BaseException | None:
        """Copy, and see that nothing is left running; return what it failed with."""
        world = self._world
        with world.habits_of_the_copier(), world.roots(clock=clock) as (transport, roots):
            stop = threading.Timer(HANG_SECONDS, self._stop, [roots])
            stop.daemon = True
            stop.start()
            failure: BaseException | None = None
            try:
                (result,) = copy(roots, settings=world.settings)
                if result.digest != world.scenario.artifact.digest:
                    self._verdict.odd.append(f"the result names the digest {result.digest}")
            except Exception as ex:  # noqa: BLE001 # whatever comes out is judged
                failure = ex
            finally:
                stop.cancel()
            self._check_leaks(transport)
        return failure

    def _stop(self, roots: list[Root]) -> None:
        self._verdict.odd.append(f"it hung for {HANG_SECONDS:.0f} s")
        for root in roots:
            for registry in (root.source.registry, root.targets[0].repository.registry):
                registry.stop()

    def _check_leaks(self, transport: Transport) -> None:
        threads = [thread.name for thread in threading.enumerate() if thread.name.startswith("acrx")]
        if threads:
            self._verdict.odd.append(f"threads left: {', '.join(threads)}")
        busy = len(getattr(transport, "_busy", ()))
        if busy:
            self._verdict.odd.append(f"{busy} connections never given back")

    def _check_content(self) -> None:
        """Whatever is at the target is what its digest says, success or not."""
        for name in self._world.scenario.targets:
            repository = self._world.repository(name)
            for digest in repository.blobs:
                if digest_of(repository.read_blob(digest), digest.partition(":")[0]) != digest:
                    self._corrupt(f"{name} holds other bytes under {digest}")
            for digest, manifest in repository.manifests.items():
                if digest_of(manifest.content) != digest:
                    self._corrupt(f"{name} holds another manifest under {digest}")

    def _check_complete(self, when: str) -> None:
        for name in self._world.scenario.targets:
            for lack in self._lacks(name):
                self._corrupt(f"{when} {name} {lack}")

    def _corrupt(self, what: str) -> None:
        self._verdict.corrupted = True
        self._verdict.odd.append(what)

    def _lacks(self, name: str) -> list[str]:
        """What a target repository lacks of the image, byte for byte, and of its tags."""
        artifact, repository = self._world.scenario.artifact, self._world.repository(name)
        lacks = []
        for part in artifact.walk():
            stored = repository.manifest(part.digest)
            if stored is None or (stored.content, stored.media_type) != (part.manifest, part.media_type):
                lacks.append(f"lacks the manifest {part.digest}")
        held = repository.blobs
        for digest, content in artifact.all_blobs.items():
            if digest not in held or repository.read_blob(digest) != content:
                lacks.append(f"lacks the blob {digest}")
        for tag in self._world.scenario.tags:
            if repository.tags.get(tag) != artifact.digest:
                lacks.append(f"has the tag {tag} at {repository.tags.get(tag)}")
        return lacks

    def _check_sessions(self) -> None:
        """No upload session is left, unless the client could not know of it or could not say that it ends."""
        left = sum(len(self._world.repository(name).uploads) for name in self._world.scenario.targets)
        if not left:
            return
        if self._verdict.injected["stall"] or any(self._excuses(entry) for entry in self._verdict.log):
            self._verdict.sessions_lost += left
        else:
            self._verdict.odd.append(f"{left} upload sessions left without an excuse")

    def _excuses(self, entry: LogEntry) -> bool:
        if not entry.fault or entry.host not in self._world.target.hosts.values():
            return False
        is_upload = "/uploads/" in entry.path
        return (
            entry.host != self._world.target.host  # no token, no cancellation
            or (is_upload and entry.method in _OPENS_OR_ENDS)
            or entry.fault in ("early 201", "202 with no Location")
        )

    def _check_failure(self, failure: BaseException) -> None:
        odd = self._verdict.odd
        if not isinstance(failure, CopyError):
            odd.append(f"it failed with {_text(failure)}")
        elif not isinstance(failure.__cause__, (RegistryFailure, OciError)) or failure.side not in Side:
            odd.append(f"its error has no cause: {_text(failure)}")
        elif not str(failure.__cause__):
            odd.append("its error says nothing")
        for name in self._world.scenario.targets:
            self._check_no_tag(name)

    def _check_no_tag(self, name: str) -> None:
        """A failed run has written no tag, unless the registry did not say that it took one."""
        artifact = self._world.scenario.artifact
        tags, before = self._world.repository(name).tags, self._world.tags_before[name]
        written = {tag for tag, digest in tags.items() if before.get(tag) != digest}
        if not written:
            return
        lacks = [lack for lack in self._lacks(name) if "the tag" not in lack]
        if lacks or any(tags[tag] != artifact.digest for tag in written):
            self._corrupt(f"it failed, and wrote the tags {sorted(written)} of {name}, which {lacks}")
        else:
            self._verdict.tagged_unheard = True

    def _rerun(self) -> None:
        """The same command again, on a good day: it completes."""
        world = self._world
        world.server.faults.clear()
        for name in world.scenario.targets:
            for session in world.repository(name).uploads.values():
                world.repository(name).end_upload(session)
        failure = self._copy(FastClock(self._verdict.seed))
        if failure is not None:
            self._verdict.odd.append(f"the rerun failed: {_text(failure)}")
        else:
            self._check_complete("after the rerun")


def _text(failure: BaseException) -> str:
    return f"{type(failure).__name__}: {failure}"


def _sockets() -> int:
    """How many sockets this process has open; 0 where the system does not show it."""
    found = 0
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:
        return 0
    for name in names:
        try:
            found += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except OSError:
            pass  # the one that listed them is closed by now
    return found
