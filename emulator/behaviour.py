# --------------------------------------------------------------------------------------------
# Copyright (c) The acrimport authors. All rights reserved.
# Licensed under the MIT License. See LICENSE in the project root for license information.
# --------------------------------------------------------------------------------------------
"""How a registry behaves where registries differ."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True)
class Behaviour:
    """The choices of one registry; change them with ``dataclasses.replace`` on ``RegistryApp.behaviour``.

    ``redirect_blobs_to``: blob GETs are answered with 307 to this host (``name`` for https, or ``http://127.0.0.1:PORT``).
    ``monolithic_limit_bytes``: a PUT or POST with a larger body gets 413. ``chunk_limit_bytes``: a larger PATCH gets 416.
    ``min_chunk_bytes``: announced as ``OCI-Chunk-Min-Length``. ``refuse_chunked_transfer_encoding``: 400
    CONTENT_LENGTH_INVALID for an upload without ``Content-Length``. ``mount``, ``referrers``, ``ranges``, ``deletes``:
    whether the registry has them. ``mount_without_from``: whether a mount may leave out ``from`` (any repository then).
    ``read_only`` refuses pushes and deletes with 405, ``locked_tags`` those of these tags and ``locked_repositories`` those
    of these repositories. ``strict_accept``: a manifest whose type ``Accept`` does not name is not found. ``ratelimit``:
    value of ``ratelimit-limit`` and ``ratelimit-remaining`` on manifest answers. ``require_blobs``: whether a manifest
    whose blobs or children are missing is refused. ``max_tags_page`` caps ``n``, ``default_tags_page`` stands for no ``n``.
    ``early_created``: 201 in place of 202 for a PATCH. ``digest_push``: whether a manifest may be put by digest.
    """

    redirect_blobs_to: str | None = None
    monolithic_limit_bytes: int | None = None
    chunk_limit_bytes: int | None = None
    min_chunk_bytes: int | None = None
    refuse_chunked_transfer_encoding: bool = False
    monolithic_post: bool = True
    mount: bool = True
    mount_without_from: bool = False
    referrers: bool = True
    ranges: bool = True
    deletes: bool = True
    docker_content_digest: bool = True
    read_only: bool = False
    locked_tags: frozenset[str] = frozenset()
    locked_repositories: frozenset[str] = frozenset()
    ratelimit: tuple[str, str] | None = None
    max_tags_page: int = 1000
    default_tags_page: int | None = None
    relative_location: bool = True
    strict_accept: bool = True
    require_blobs: bool = True
    early_created: bool = False
    max_manifest_bytes: int = 4 * MIB
