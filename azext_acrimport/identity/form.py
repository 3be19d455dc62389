# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The forms of ``--source-identity``: who is to be shown to the source."""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

from azext_acrimport.oci.digest import printable
from azext_acrimport.request import InvalidRequest

_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z", re.IGNORECASE)
_TENANT = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,252}[a-z0-9])?\Z", re.IGNORECASE)


class Form(str, Enum):
    """Where the identity comes from."""

    CLI = "cli"
    MANAGED = "managed"
    WORKLOAD = "workload"
    PIPELINES = "pipelines"
    ENVIRONMENT = "environment"


_WRITTEN = {
    Form.CLI: "cli:TENANT",
    Form.MANAGED: "managed[:CLIENT_ID]",
    Form.WORKLOAD: "workload",
    Form.PIPELINES: "pipelines:SERVICE_CONNECTION_ID",
    Form.ENVIRONMENT: "environment",
}
FORMS = ", ".join(_WRITTEN.values())


class SourceIdentity(NamedTuple):
    """An identity as the user names it.

    ``detail`` is the tenant of ``cli``, the client ID of ``managed`` (empty: the machine's own identity) and the
    service connection of ``pipelines``.
    """

    form: Form
    detail: str = ""

    @staticmethod
    def parse(text: str) -> SourceIdentity:
        """Read one of :data:`FORMS`.

        :raises InvalidRequest: it is none of them; the text lists them.
        """
        word, colon, detail = text.strip().partition(":")
        try:
            form = Form(word.lower())
        except ValueError as ex:
            raise InvalidRequest(f"--source-identity {printable(text)} is none of {FORMS}") from ex
        pattern = _DETAILS.get(form)
        if not colon and form in (Form.WORKLOAD, Form.ENVIRONMENT, Form.MANAGED):
            return SourceIdentity(form)
        if not pattern or not pattern.match(detail):
            wanted = f"{_WRITTEN[form]}, {_MEANINGS[form]}" if form in _MEANINGS else _WRITTEN[form]
            raise InvalidRequest(f"--source-identity {printable(text)} is to be {wanted}")
        return SourceIdentity(form, detail)

    def __str__(self) -> str:
        return f"{self.form.value}:{self.detail}" if self.detail else self.form.value


_DETAILS = {Form.CLI: _TENANT, Form.MANAGED: _GUID, Form.PIPELINES: _GUID}
_MEANINGS = {
    Form.CLI: "with the ID or a domain name of a tenant",
    Form.MANAGED: "with the client ID of an identity that is assigned to this machine, a GUID",
    Form.PIPELINES: "with the resourceId in the address of the service connection's page, a GUID",
}
