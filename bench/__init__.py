# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Side-by-side measurements of the copier and its peers. ``python3 -m bench --help``; docs/benchmarks.md."""
