# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""A certificate for the registries, made by the openssl program."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.processes import LOOPBACK, Unusable

REGISTRY = "benchmarktarget"  # the name by which az knows the target


@dataclass(frozen=True)
class Certificate:
    """The files of a certificate that vouches for itself, and of its key."""

    certificate: Path
    key: Path


def make_certificate(folder: Path) -> Certificate:
    """Make one in a folder.

    :raises Unusable: there is no openssl program, or it refuses.
    """
    program = shutil.which("openssl")
    if program is None:
        raise Unusable("there is no openssl program")
    made = Certificate(folder / "tls.crt", folder / "tls.key")
    command = [program, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    command += ["-subj", f"/CN={LOOPBACK}", "-addext", f"subjectAltName=IP:{LOOPBACK},DNS:{REGISTRY}.azurecr.io"]
    command += ["-out", str(made.certificate), "-keyout", str(made.key)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unusable(f"openssl made no certificate: {done.stderr.strip()[-200:]}")
    return made
