# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Addresses in spellings that the system's resolver takes and that do not look like addresses."""

from __future__ import annotations

import pytest

from azext_acrimport.registry.client import Client
from azext_acrimport.registry.errors import ProtocolError
from azext_acrimport.registry.transport import Transport


@pytest.mark.parametrize(
    "host",
    ["2130706433", "127.1", "0x7f.0.0.1", "0177.0.0.1", "10.1", "0xa9fea9fe", "[::ffff:10.0.0.1]", "localhost.", "0"],
)
def test_no_upload_goes_on_at_a_private_address_however_it_is_spelt(host: str) -> None:
    client = Client("registry.example", Transport())

    with pytest.raises(ProtocolError, match="not followed"):
        client.locate(f"https://{host}/v2/app/blobs/uploads/1", "/v2/app/blobs/uploads/")
