# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Our copier in a process of its own, as cheaply as Python starts: ``python3 -I -S bench/client.py JOB``.

``JOB`` is a JSON object: the hosts ``source`` and ``target``; the ``images``, for each its repository at the source and
at the target and its tag; the file ``ca`` or null; and ``settings`` for :class:`CopySettings`. What it did is
printed as JSON.
"""

import json
import os
import sys
import time

_BEGIN = time.monotonic()

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from bench.bare import without_the_cli  # noqa: E402 - after its folder is on the path


def peak_rss_kib() -> int:
    """The peak of this process alone, whatever the one that started it had."""
    with open("/proc/self/status", "rb") as status:
        return next((int(line.split()[1]) for line in status if line.startswith(b"VmHWM:")), 0)


def main() -> int:
    """Copy as the first argument says."""
    bare_rss_kib = peak_rss_kib()
    without_the_cli()
    from azext_acrimport.registry.registry import Registry
    from azext_acrimport.registry.transport import Transport, TransportSettings
    from azext_acrimport.transfer.copier import CopySettings, Root, Target, copy_all

    job = json.loads(sys.argv[1])
    settings = CopySettings(**job["settings"]) if job["settings"] else None
    with Transport(TransportSettings(ca_bundle=job["ca"])) as transport:
        source = Registry(job["source"], transport=transport)
        same = job["source"] == job["target"]
        target = source if same else Registry(job["target"], transport=transport)
        roots = [
            Root(source.repository(origin), tag, (Target(target.repository(goal), (tag,)),))
            for origin, goal, tag in job["images"]
        ]
        started = time.monotonic()
        outcomes = copy_all(roots, settings=settings)
        ended = time.monotonic()
    failures = [str(outcome) for outcome in outcomes if isinstance(outcome, Exception)]
    done = [outcome for outcome in outcomes if not isinstance(outcome, Exception)]
    result = {
        "start_seconds": started - _BEGIN,
        "copy_seconds": ended - started,
        "added_rss_kib": peak_rss_kib() - bare_rss_kib,
        "bytes_copied": sum(outcome.bytes_copied for outcome in done),
        "manifests_copied": sum(outcome.manifests.copied for outcome in done),
        "blobs_copied": sum(outcome.blobs.copied for outcome in done),
        "blobs_mounted": sum(outcome.blobs.mounted for outcome in done),
        "failures": failures,
    }
    print(json.dumps(result))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
