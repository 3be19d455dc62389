# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""A small local Azure for the demo and the tests: registries, Entra ID and Resource Manager on loopback.

It is never part of the wheel.
"""
