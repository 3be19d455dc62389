# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""``python3 -m bench``: see :mod:`bench.command`."""

import sys

from bench.bare import without_the_cli

without_the_cli()

from bench.command import main  # noqa: E402 - it imports the copier

sys.exit(main())
