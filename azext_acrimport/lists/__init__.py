# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Many images at once: lists of them, tags by rule, names by template, parts for several machines.

Pure over values. No registry is asked in here, and what reads a file is in :mod:`loading` alone.
"""
