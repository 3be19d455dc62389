# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""HTTP messages as the emulated services see them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

Client = Literal["inside", "outside", "service", "direct"]

HeaderInput = Mapping[str, str] | Iterable[tuple[str, str]]

READ_BYTES = 256 * 1024  # large enough that a system call costs little beside the copy of its bytes


class ClientDisconnected(ConnectionError):
    """The client went away before its request body was complete."""


class Headers:
    """Header fields in order; names compare without case."""

    def __init__(self, fields: HeaderInput = ()) -> None:
        items = fields.items() if isinstance(fields, (Mapping, Headers)) else fields
        self._items: list[tuple[str, str]] = list(items)

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first field of that name."""
        wanted = name.lower()
        return next((value for key, value in self._items if key.lower() == wanted), default)

    def get_all(self, name: str) -> list[str]:
        """Every field of that name, in order."""
        wanted = name.lower()
        return [value for key, value in self._items if key.lower() == wanted]

    def add(self, name: str, value: str) -> None:
        """Add a field and keep those of the same name."""
        self._items.append((name, value))

    def remove(self, name: str) -> None:
        """Remove every field of that name."""
        wanted = name.lower()
        self._items = [(key, value) for key, value in self._items if key.lower() != wanted]

    def items(self) -> list[tuple[str, str]]:
        """All fields in order."""
        return list(self._items)

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __setitem__(self, name: str, value: str) -> None:
        self.remove(name)
        self.add(name, value)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter([key for key, _ in self._items])

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"Headers({self._items!r})"


class Body(Protocol):
    """The body of one request: ``read`` never goes past its end."""

    def read(self, size: int = -1, /) -> bytes:
        """Read up to ``size`` bytes, empty only at the end; without a size, all that is left.

        :raises ClientDisconnected: when the client stops in the middle.
        """


@dataclass
class Request:
    """One request.

    ``path`` is as received, without the query and not decoded. ``host`` is the ``Host`` field in lower case, with the
    port unless that is 443. ``client`` says from where the request comes: through the inside or the outside proxy, from
    the emulated service itself, or directly at a listener of the app's own.
    """

    method: str
    path: str
    query: list[tuple[str, str]] = field(default_factory=list)
    headers: Headers = field(default_factory=Headers)
    host: str = ""
    body: Body = field(default_factory=io.BytesIO)
    client: Client = "direct"
    scheme: str = "https"

    @classmethod
    def build(
        cls, method: str, url: str, *, headers: HeaderInput = (), body: bytes = b"", client: Client = "service"
    ) -> Request:
        """A request made in process, for instance by the emulated import service."""
        parts = urlsplit(url)
        query = parse_qsl(parts.query, keep_blank_values=True)
        fields = Headers(headers)
        if body:
            fields["Content-Length"] = str(len(body))
        return cls(
            method, parts.path or "/", query, fields, parts.netloc.lower(), io.BytesIO(body), client, parts.scheme
        )

    def arg(self, name: str, default: str | None = None) -> str | None:
        """The first query argument of that name."""
        return next((value for key, value in self.query if key == name), default)

    def args(self, name: str) -> list[str]:
        """All query arguments of that name."""
        return [value for key, value in self.query if key == name]

    @property
    def decoded_path(self) -> str:
        """The path with its percent-escapes decoded."""
        return unquote(self.path)

    @property
    def base_url(self) -> str:
        """Scheme and host as the client addressed them, without a slash at the end."""
        return f"{self.scheme}://{self.host}"

    def chunks(self) -> Iterator[bytes]:
        """The body as it arrives."""
        while chunk := self.body.read(READ_BYTES):
            yield chunk

    def read_all(self) -> bytes:
        """The whole body."""
        return b"".join(self.chunks())

    def read_json(self) -> Any:
        """The body as JSON; None when it is empty.

        :raises ValueError: when it is not JSON.
        """
        content = self.read_all()
        return json.loads(content) if content else None

    def read_form(self) -> list[tuple[str, str]]:
        """The fields of an ``application/x-www-form-urlencoded`` body, in order (a name may be repeated)."""
        return parse_qsl(self.read_all().decode("utf-8", "replace"), keep_blank_values=True)


class Response:
    """One response.

    A body of bytes gets its ``Content-Length`` by itself. An iterable body is sent with the ``Content-Length`` that the
    headers hold, or chunked where they hold none.
    """

    def __init__(self, status: int = 200, headers: HeaderInput = (), body: bytes | Iterable[bytes] = b"") -> None:
        self.status = status
        self.headers = Headers(headers)
        self.body = body

    @classmethod
    def json(cls, status: int, content: Any, headers: HeaderInput = ()) -> Response:
        """A response with a JSON body."""
        response = cls(status, headers, json.dumps(content).encode())
        if "Content-Type" not in response.headers:
            response.headers.add("Content-Type", "application/json; charset=utf-8")
        return response

    @classmethod
    def text(cls, status: int, content: str, headers: HeaderInput = ()) -> Response:
        """A response with a plain text body."""
        response = cls(status, headers, content.encode())
        if "Content-Type" not in response.headers:
            response.headers.add("Content-Type", "text/plain; charset=utf-8")
        return response

    @property
    def reason(self) -> str:
        """The reason phrase of the status."""
        try:
            return HTTPStatus(self.status).phrase
        except ValueError:
            return "Unknown"

    def content(self) -> bytes:
        """The whole body; for callers in process."""
        return self.body if isinstance(self.body, bytes) else b"".join(self.body)

    def __repr__(self) -> str:
        return f"Response({self.status}, {self.headers!r})"


App = Callable[[Request], Response]
