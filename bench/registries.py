# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Real registries on loopback: distribution, as Debian packages it or in any other build."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.certificates import Certificate
from bench.processes import LOOPBACK, Process, bare_environment, free_port
from bench.versions import first_line

_CONFIG = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: {quiet}}}}}
storage:
  filesystem: {{rootdirectory: "{storage}"}}
  delete: {{enabled: true}}
  maintenance: {{uploadpurging: {{enabled: false}}}}
http: {{addr: "{host}", secret: of-this-benchmark{tls}}}
"""
_TLS = ', tls: {{certificate: "{certificate}", key: "{key}"}}'
_REQUEST = re.compile(r'"(GET|HEAD|POST|PUT|PATCH|DELETE) [^"]* HTTP/[0-9.]+" [0-9]{3} ')


@dataclass(frozen=True)
class RegistryProgram:
    """A program that takes ``serve CONFIG`` as distribution does."""

    path: str

    @property
    def version(self) -> str:
        """What it calls itself."""
        words = first_line([self.path, "--version"]).split()
        return " ".join(words[-2:])

    @contextmanager
    def serving(
        self, folder: Path, *, storage: Path, certificate: Certificate | None = None, counts: bool = False
    ) -> Iterator[Registry]:
        """Run it in a folder of its own, over TLS if there is a certificate, with a log of requests if ``counts``.

        :raises Unusable: it does not start.
        """
        folder.mkdir(parents=True, exist_ok=True)
        storage.mkdir(parents=True, exist_ok=True)
        port = free_port()
        tls = _TLS.format(certificate=certificate.certificate, key=certificate.key) if certificate else ""
        text = _CONFIG.format(quiet=str(not counts).lower(), storage=storage, host=f"{LOOPBACK}:{port}", tls=tls)
        config = folder / "config.yml"
        config.write_text(text, encoding="utf-8")
        environment = {**bare_environment(folder), "OTEL_TRACES_EXPORTER": "none"}
        with Process([self.path, "serve", str(config)], log=folder / "log", environment=environment) as process:
            process.wait_for_port(port)
            yield Registry(process, port)

    @contextmanager
    def serving_anew(
        self, folder: Path, *, certificate: Certificate | None = None, counts: bool = False
    ) -> Iterator[Registry]:
        """The same with an empty storage, which is gone afterwards."""
        storage = folder / "storage"
        shutil.rmtree(storage, ignore_errors=True)
        try:
            with self.serving(folder, storage=storage, certificate=certificate, counts=counts) as registry:
                yield registry
        finally:
            shutil.rmtree(storage, ignore_errors=True)


@dataclass(frozen=True)
class Registry:
    """A registry that runs."""

    process: Process
    port: int

    @property
    def host(self) -> str:
        """Its address, as clients are told."""
        return f"{LOOPBACK}:{self.port}"

    def requests(self) -> Counter[str]:
        """The requests so far by method, if they are logged."""
        return count_requests(self.process.log.read_text(encoding="utf-8", errors="replace"))


def count_requests(log: str) -> Counter[str]:
    """The requests by method in a log in the combined format of web servers."""
    return Counter(_REQUEST.findall(log))
