# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What can be wrong with a value of the specifications.

OciError
├── InvalidReference    a name that is not ``registry/repository[:tag][@digest]``
├── InvalidDigest       a digest that is malformed or of an algorithm we cannot check
├── InvalidRange        a range of versions that cannot be read
├── InvalidPlatform     a name that is not ``os/architecture[/variant][:os.version]``
├── UnknownPlatform     an image is not there for a platform that was asked for
└── InvalidManifest     a document that does not describe content we can copy
    └── UnsupportedManifest     Docker schema 1: signed, and without digests of its own parts
"""


class OciError(ValueError):
    """A value does not follow the OCI specifications."""


class InvalidReference(OciError):
    """A name is not ``registry/repository[:tag][@digest]``."""


class InvalidDigest(OciError):
    """A digest is malformed, or of an algorithm other than sha256 and sha512."""


class InvalidRange(OciError):
    """A range of versions cannot be read."""


class InvalidPlatform(OciError):
    """A name is not ``os/architecture[/variant][:os.version]``."""


class UnknownPlatform(OciError):
    """An image is not there for a platform that was asked for."""


class InvalidManifest(OciError):
    """A manifest or index cannot be read."""


class UnsupportedManifest(InvalidManifest):
    """A manifest of a kind that cannot be copied (Docker schema 1)."""
