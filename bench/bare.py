# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The copier without the Azure CLI: nothing here may import much, for it is part of what a client costs."""

import os
import sys
import types

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def without_the_cli() -> None:
    """Make ``azext_acrimport.transfer`` and what is below it importable where there is no Azure CLI.

    The package's own ``__init__`` is the CLI's loader: it is left out.
    """
    if "azext_acrimport" not in sys.modules:
        package = types.ModuleType("azext_acrimport")
        package.__path__ = [os.path.join(ROOT, "azext_acrimport")]
        sys.modules["azext_acrimport"] = package
