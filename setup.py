# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Packaging of the extension. There are no dependencies: what it needs is in the core of the Azure CLI."""

from pathlib import Path
from typing import Any

from setuptools import Distribution, find_packages, setup

VERSION = "1.0.0b1"


class _Distribution(Distribution):
    """Writes metadata that the Azure CLI reads: up to 2.87 it comes with a pkginfo that knows none newer than 2.2.

    It would show no version of the extension then, and not update it: https://github.com/Azure/azure-cli/issues/31320
    """

    def __init__(self, attrs: Any = None) -> None:
        super().__init__(attrs)
        self.metadata.metadata_version = "2.2"


_README = Path(__file__).resolve().parent / "README.md"

setup(
    distclass=_Distribution,
    name="acrimport",
    version=VERSION,
    description="Azure CLI extension that imports images into a registry, by the service or from this machine",
    long_description=_README.read_text(encoding="utf-8") if _README.is_file() else "",
    long_description_content_type="text/markdown",
    license="MIT",
    author="The acrimport authors",
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Intended Audience :: System Administrators",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
    ],
    python_requires=">=3.10",
    packages=find_packages(
        include=["azext_acrimport", "azext_acrimport.*"],
        exclude=["azext_acrimport.tests", "azext_acrimport.tests.*"],
    ),
    package_data={"azext_acrimport": ["azext_metadata.json"]},
    install_requires=[],
    extras_require={"identity": ["azure-identity>=1.17,<1.26"]},
)
