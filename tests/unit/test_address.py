# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""URLs that registries send: where they lead, and which are not followed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azext_acrimport.registry.address import BadUrl, Origin, is_loopback, is_private, origin_of, split_url

BASE = Origin("https", "r.azurecr.io", 443)


@pytest.mark.parametrize(
    ("host", "scheme", "origin"),
    [
        ("r.azurecr.io", "https", BASE),
        ("r.azurecr.io:8443", "https", Origin("https", "r.azurecr.io", 8443)),
        ("localhost:5000", "http", Origin("http", "localhost", 5000)),
        ("localhost", "http", Origin("http", "localhost", 80)),
        ("[::1]:5000", "http", Origin("http", "::1", 5000)),
    ],
)
def test_origin_of_a_host(host: str, scheme: str, origin: Origin) -> None:
    assert origin_of(host, scheme) == origin


@pytest.mark.parametrize(
    ("origin", "authority"),
    [
        (BASE, "r.azurecr.io"),
        (Origin("https", "r.io", 5000), "r.io:5000"),
        (Origin("http", "localhost", 80), "localhost"),
        (Origin("https", "localhost", 80), "localhost:80"),
        (Origin("https", "::1", 443), "[::1]"),
        (Origin("https", "::1", 5000), "[::1]:5000"),
    ],
)
def test_authority_names_the_port_only_where_it_is_needed(origin: Origin, authority: str) -> None:
    assert origin.authority == authority
    assert str(origin) == f"{origin.scheme}://{authority}"


@pytest.mark.parametrize(
    ("url", "origin", "target"),
    [
        ("https://a.example/x/y?z=1&w=%20", Origin("https", "a.example", 443), "/x/y?z=1&w=%20"),
        ("https://A.Example:444/x", Origin("https", "a.example", 444), "/x"),
        ("http://a.example", Origin("http", "a.example", 80), "/"),
        ("https://a.example?x=1", Origin("https", "a.example", 443), "/?x=1"),
        ("//a.example/x", Origin("https", "a.example", 443), "/x"),
        ("/v2/x?y", BASE, "/v2/x?y"),
        ("?digest=1", BASE, "/v2/app/tags/list?digest=1"),
        ("next?n=1", BASE, "/v2/app/tags/next?n=1"),
        ("/x#fragment", BASE, "/x"),
        ("HTTPS://a.example/", Origin("https", "a.example", 443), "/"),
        ("https://[::1]:5000/x", Origin("https", "::1", 5000), "/x"),
    ],
)
def test_url_absolute_or_relative(url: str, origin: Origin, target: str) -> None:
    assert split_url(url, BASE, "/v2/app/tags/list") == (origin, target)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example/x",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https:///x",
        "https://user@a.example/",
        "https://user:secret@a.example/",
        "https://a.example:port/",
        "https://a.example:99999/",
        "https://[::1/",
        "https://a.example/a b",
        "https://a.example/\r\nX: y",
        "/x\x00",
        "/x\u00e9",
        "https://a.example/" + "x" * 20_000,
    ],
)
def test_url_that_is_not_followed(url: str) -> None:
    with pytest.raises(BadUrl) as raised:
        split_url(url, BASE)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("url", ["//", "//:80/x", "//:/x", "//?x"])
def test_url_that_names_no_host_is_not_followed(url: str) -> None:
    with pytest.raises(BadUrl):
        split_url(url, BASE)


@pytest.mark.parametrize("host", ["localhost", "a.localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)
    assert is_private(host)


@pytest.mark.parametrize(
    "host",
    ["r.azurecr.io", "localhost.example", "notlocalhost", "128.0.0.1", "10.0.0.1", "::2", "127.0.0.1.nip.io", ""],
)
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "fe80::1", "fd00::1", "0.0.0.0", "224.0.0.1"]
)
def test_private(host: str) -> None:
    assert is_private(host)


@pytest.mark.parametrize("host", ["r.azurecr.io", "20.1.2.3", "2606:4700::1"])
def test_public(host: str) -> None:
    assert not is_private(host)


@given(
    st.text(max_size=60)
    | st.text(alphabet="htps:/?#[]@.a1%&=-", max_size=40)
    | st.builds("https://{}/{}".format, st.text(max_size=10), st.text(max_size=10))
)
def test_no_url_raises_anything_but_our_error(url: str) -> None:
    try:
        origin, target = split_url(url, BASE, "/v2/x")
    except BadUrl:
        return
    assert target.startswith("/")
    assert target.isascii()
    assert target.isprintable()
    assert " " not in target
    assert origin.scheme in ("http", "https")
