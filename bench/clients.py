# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The clients: ours and its peers, and the commands that make them copy."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.bare import ROOT
from bench.processes import Unusable, bare_environment
from bench.rows import Row, Workload
from bench.versions import version_of

OURS = "acrimport"
KINDS = ("crane", "regctl", "regsync", "skopeo")


@dataclass(frozen=True)
class Job:
    """What is to be copied: all ``tags`` of a repository, to ``prefix/repository`` at the target.

    ``apart``: each is in a repository of its own below that one, which is called as it is.
    """

    source: str
    target: str
    repository: str
    prefix: str
    tags: Sequence[str]
    ca: Path | None
    home: Path
    apart: bool = False

    @property
    def target_repository(self) -> str:
        """The repository at the target."""
        return f"{self.prefix}/{self.repository}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables for any client: a home without settings, and the certificate to trust."""
        # skopeo, run as root, would remember in a file of the whole system what it has seen where.
        variables = {
            "_CONTAINERS_ROOTLESS_UID": "1",
            "XDG_DATA_HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.home),
        }
        if self.ca:
            variables["SSL_CERT_FILE"] = str(self.ca)
        return {**bare_environment(self.home), **variables}

    def source_image(self, tag: str) -> str:
        """An image at the source."""
        return f"{self.source}/{self._place(tag)}"

    def target_image(self, tag: str) -> str:
        """An image at the target."""
        return f"{self.target}/{self.prefix}/{self._place(tag)}"

    def _place(self, tag: str) -> str:
        return f"{self.repository}/{tag}:{tag}" if self.apart else f"{self.repository}:{tag}"


Once = Callable[[Job, str], list[str]]
"""The command that copies one of the images of a job."""


@dataclass(frozen=True)
class Client:
    """A way to run one of the programs. ``fits`` tells for which rows; ``environment`` goes before the job's own."""

    name: str
    kind: str
    command: Callable[[Job], list[str]]
    fits: Callable[[Row, Workload], bool] = lambda row, workload: True
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_ours(self) -> bool:
        """Whether it is the copier of this project."""
        return self.kind == OURS


@dataclass(frozen=True)
class Peer:
    """A program to compare with."""

    name: str
    kind: str
    path: str
    version: str = field(default="", compare=False)


def find_peers(named: Sequence[str], *, search: bool = True) -> list[Peer]:
    """The peers on the PATH, and those given as ``NAME=PATH``, whose names begin with the kind of peer that they are.

    :raises Unusable: one of those given is not one.
    """
    found = [Peer(kind, kind, path) for kind in KINDS if search and (path := shutil.which(kind))]
    for each in named:
        name, _, path = each.partition("=")
        kind = next((kind for kind in KINDS if name.startswith(kind)), None)
        if kind is None or not os.access(path, os.X_OK):
            raise Unusable(f"{each} is not NAME=PATH with a program, and a name that begins as one of {KINDS}")
        found = [peer for peer in found if peer.name != name] + [Peer(name, kind, os.path.abspath(path))]
    return [Peer(peer.name, peer.kind, peer.path, version_of(peer.kind, peer.path)) for peer in found]


def our_clients(variants: Sequence[Mapping[str, Any]]) -> list[Client]:
    """Our copier with its defaults, and with further settings to try."""
    clients = [Client(OURS, OURS, _ours({}))]
    for settings in variants:
        name = ", ".join(f"{key}={value}" for key, value in settings.items())
        clients.append(Client(f"{OURS} {name}", f"{OURS}-variant", _ours(settings)))
    return clients


def peer_clients(peers: Sequence[Peer], *, quick: bool) -> list[Client]:
    """The ways in which the peers are run: as they come, and as they are known to be fastest."""
    has_regsync = any(peer.kind == "regsync" for peer in peers)
    clients: list[Client] = []
    for peer in peers:
        if peer.kind == "crane":
            clients += _cranes(peer, quick=quick)
        elif peer.kind == "skopeo":
            clients.append(Client(peer.name, peer.kind, _skopeo(peer.path)))
        elif peer.kind == "regsync":
            clients.append(Client(peer.name, peer.kind, _regsync(peer.path), _is_many))
        else:
            clients.append(Client(peer.name, peer.kind, _regctl(peer.path), _is_single))
            if not has_regsync:
                clients.append(Client(f"{peer.name}, 8 at once", peer.kind, _loop(_regctl_once(peer.path)), _is_many))
    return clients


def _is_many(row: Row, workload: Workload) -> bool:
    return workload.many


def _is_many_together(row: Row, workload: Workload) -> bool:
    return workload.many and not workload.apart


def _is_many_apart(row: Row, workload: Workload) -> bool:
    return workload.many and workload.apart


def _is_single(row: Row, workload: Workload) -> bool:
    return not workload.many


def _ours(settings: Mapping[str, Any]) -> Callable[[Job], list[str]]:
    def command(job: Job) -> list[str]:
        fields = {
            "source": job.source,
            "target": job.target,
            "images": [[_path(job.source_image(tag)), _path(job.target_image(tag)), tag] for tag in job.tags],
            "ca": str(job.ca) if job.ca else None,
            "settings": dict(settings),
        }
        return [sys.executable, "-I", "-S", os.path.join(ROOT, "bench", "client.py"), json.dumps(fields)]

    return command


def _path(image: str) -> str:
    """The repository of an image, without the host."""
    return image.partition("/")[2].rpartition(":")[0]


def _cranes(peer: Peer, *, quick: bool) -> list[Client]:
    many = (32,) if quick else (None, 32, 64)
    single = (None,) if quick else (None, 8)
    clients = [
        Client(_with_jobs(f"{peer.name} -a", jobs), peer.kind, _crane(peer.path, jobs), _is_many_together)
        for jobs in many
    ]
    clients.append(Client(f"{peer.name}, 8 at once", peer.kind, _loop(_crane_once(peer.path)), _is_many_apart))
    clients += [Client(_with_jobs(peer.name, jobs), peer.kind, _crane(peer.path, jobs), _is_single) for jobs in single]
    return clients


def _with_jobs(name: str, jobs: int | None) -> str:
    return f"{name} -j{jobs}" if jobs else name


def _crane(path: str, jobs: int | None) -> Callable[[Job], list[str]]:
    def command(job: Job) -> list[str]:
        options = [f"-j{jobs}"] if jobs else []
        if len(job.tags) > 1:
            source, target = f"{job.source}/{job.repository}", f"{job.target}/{job.target_repository}"
            return [path, "copy", "-a", *options, source, target]
        return [path, "copy", *options, job.source_image(job.tags[0]), job.target_image(job.tags[0])]

    return command


def _skopeo(path: str) -> Callable[[Job], list[str]]:
    def command(job: Job) -> list[str]:
        verify = str(job.ca is not None).lower()
        options = ["--all", f"--src-tls-verify={verify}", f"--dest-tls-verify={verify}"]
        if job.apart:
            listed = job.home / "images.yml"
            wanted = {"tls-verify": bool(job.ca), "images": {f"{job.repository}/{tag}": [tag] for tag in job.tags}}
            listed.write_text(json.dumps({job.source: wanted}), encoding="utf-8")  # YAML takes JSON as it is
            options = ["--all", f"--dest-tls-verify={verify}", "--src", "yaml", "--dest", "docker"]
            return [path, "--insecure-policy", "sync", *options, str(listed), f"{job.target}/{job.target_repository}"]
        if len(job.tags) > 1:
            # It appends the last part of the source's name to the target's.
            places = [f"{job.source}/{job.repository}", f"{job.target}/{job.prefix}"]
            return [path, "--insecure-policy", "sync", *options, "--src", "docker", "--dest", "docker", *places]
        images = [f"docker://{job.source_image(job.tags[0])}", f"docker://{job.target_image(job.tags[0])}"]
        return [path, "--insecure-policy", "copy", *options, *images]

    return command


def _regctl_hosts(job: Job) -> list[str]:
    tls = "enabled" if job.ca else "disabled"
    return [f"--host=reg={host},tls={tls}" for host in dict.fromkeys((job.source, job.target))]


def _regctl(path: str) -> Callable[[Job], list[str]]:
    return lambda job: _regctl_once(path)(job, job.tags[0])


def _regctl_once(path: str) -> Once:
    def command(job: Job, tag: str) -> list[str]:
        return [path, *_regctl_hosts(job), "image", "copy", job.source_image(tag), job.target_image(tag)]

    return command


def _crane_once(path: str) -> Once:
    return lambda job, tag: [path, "copy", job.source_image(tag), job.target_image(tag)]


def _loop(once: Once) -> Callable[[Job], list[str]]:
    """Of a program that copies one image at a time, as many at once as are of use."""

    def command(job: Job) -> list[str]:
        tags = job.home / "tags"
        tags.write_text("\n".join(job.tags), encoding="utf-8")
        return ["xargs", "-a", str(tags), "-P", "8", "-I", "{}", *once(job, "{}")]

    return command


def _regsync(path: str) -> Callable[[Job], list[str]]:
    def command(job: Job) -> list[str]:
        tls = "enabled" if job.ca else "disabled"
        hosts = [{"registry": host, "tls": tls} for host in dict.fromkeys((job.source, job.target))]
        source, target = f"{job.source}/{job.repository}", f"{job.target}/{job.target_repository}"
        steps = [{"source": source, "target": target, "type": "repository"}]
        if job.apart:
            images = [(job.source_image(tag), job.target_image(tag)) for tag in job.tags]
            steps = [{"source": each, "target": goal, "type": "image"} for each, goal in images]
        fields = {"version": 1, "creds": hosts, "defaults": {"parallel": 16}, "sync": steps}
        config = job.home / "regsync.yml"
        config.write_text(json.dumps(fields), encoding="utf-8")  # YAML takes JSON as it is
        return [path, "once", "-c", str(config)]

    return command
