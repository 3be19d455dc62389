# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""How a registry behaves where registries differ."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True)
class Behaviour:
    """The choices of one registry; change them with ``dataclasses.replace`` on ``RegistryApp.behaviour``.

    - ``redirect_blobs_to``: blob GETs are answered with 307 to this host (a name for https, or ``http://127.0.0.1:PORT``).
    - ``monolithic_limit_bytes``: a PUT or POST with a larger body gets 413.
    - ``chunk_limit_bytes``: a larger PATCH gets 416.
    - ``min_chunk_bytes``: announced as ``OCI-Chunk-Min-Length``; a chunk after one that was smaller gets 416.
    - ``refuse_chunked_transfer_encoding``: an upload without ``Content-Length`` gets 400 CONTENT_LENGTH_INVALID.
    - ``monolithic_post``: whether a POST may bring the blob with it; otherwise it only opens a session.
    - ``mount``: whether blobs are mounted; ``mount_without_from``: also from any repository where none is named.
    - ``referrers``, ``ranges``, ``deletes``, ``docker_content_digest`` (the header): whether the registry has them.
    - ``read_only`` refuses all that writes with 405, ``locked_repositories`` what writes to these, ``locked_tags``
      (``TAG`` or ``REPOSITORY:TAG``) what would move or delete these.
    - ``ratelimit``: values of ``ratelimit-limit`` and ``ratelimit-remaining`` on manifest answers.
    - ``max_referrers_page`` caps a page of referrers, ``filters_referrers``: whether it filters them.
    - ``max_tags_page`` caps a page of tags, ``default_tags_page`` is its size when none is asked for.
    - ``relative_location``: whether ``Location`` leaves out the host.
    - ``strict_accept``: a manifest whose type ``Accept`` does not name is not found.
    - ``require_blobs``: whether a manifest whose blobs or children are missing is refused.
    - ``early_created``: 201 in place of 202 for a PATCH. ``tags_action``: the scope's action that listing tags needs.
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
    max_referrers_page: int = 100
    filters_referrers: bool = True
    max_tags_page: int = 1000
    default_tags_page: int | None = None
    relative_location: bool = True
    strict_accept: bool = True
    require_blobs: bool = True
    early_created: bool = False
    tags_action: str = "pull"
    max_manifest_bytes: int = 4 * MIB
