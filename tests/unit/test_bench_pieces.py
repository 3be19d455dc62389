# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The pieces of the benchmark: commands, logs, noise, layers, and the two programs in C."""

from __future__ import annotations

import json
import shutil
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from azext_acrimport.registry.registry import Registry
from azext_acrimport.registry.transport import Transport, TransportSettings
from bench import command, lists
from bench.clients import Job, Peer, find_peers, our_clients, peer_clients
from bench.native import Native, Usage, compile_all, run_client, slow_network
from bench.noise import busy_seconds, share
from bench.processes import Unusable
from bench.registries import count_requests
from bench.rows import ROWS, Link, Workload, workloads
from bench.workloads import layer_bytes, push
from emulator.http import Server
from emulator.registry import RegistryApp

needs_compiler = pytest.mark.skipif(not (shutil.which("cc") or shutil.which("gcc")), reason="there is no C compiler")

_LOG = """\
127.0.0.1 - - [23/Nov/2026:15:23:10 +0000] "HEAD /v2/a/manifests/v1 HTTP/1.1" 200 0 "" "GET / HTTP/1.1"
time="2026" level=info msg="GET /v2/ HTTP/1.1"
127.0.0.1 - - [23/Nov/2026:15:23:10 +0000] "POST /v2/a/blobs/uploads/?mount=x&from=a HTTP/2.0" 202 0 "" "x"
127.0.0.1 - - [23/Nov/2026:15:23:10 +0000] "HEAD /v2/a/manifests/v2 HTTP/1.1" 404 0 "" "x"
"""


def job(home: Path, *tags: str, ca: Path | None = None) -> Job:
    """A job between two ports."""
    return Job("127.0.0.1:1", "127.0.0.1:2", "small", "copy", tags, ca, home)


def commands(kind: str, workload: Workload, done: Job) -> dict[str, str]:
    """The commands of all clients of a kind for a workload, as text, by their names."""
    clients = peer_clients([Peer(kind, kind, f"/bin/{kind}")], quick=False)
    return {client.name: " ".join(client.command(done)) for client in clients if client.fits(ROWS[0], workload)}


def test_crane_copies_all_tags_as_it_comes_and_with_more_at_once(tmp_path: Path) -> None:
    found = commands("crane", workloads(quick=True)["small"], job(tmp_path, "v0", "v1"))

    assert found["crane -a"] == "/bin/crane copy -a 127.0.0.1:1/small 127.0.0.1:2/copy/small"
    assert found["crane -a -j32"] == "/bin/crane copy -a -j32 127.0.0.1:1/small 127.0.0.1:2/copy/small"


def test_skopeo_copies_one_image_or_syncs_a_repository(tmp_path: Path) -> None:
    sizes = workloads(quick=True)

    single = commands("skopeo", sizes["big"], job(tmp_path, "v1", ca=tmp_path / "ca"))["skopeo"]
    many = commands("skopeo", sizes["small"], job(tmp_path, "v0", "v1"))["skopeo"]

    assert single.endswith(
        "copy --all --src-tls-verify=true --dest-tls-verify=true "
        "docker://127.0.0.1:1/small:v1 docker://127.0.0.1:2/copy/small:v1"
    )
    assert many.endswith("--src docker --dest docker 127.0.0.1:1/small 127.0.0.1:2/copy")


def test_regctl_copies_many_images_by_many_processes_unless_there_is_regsync(tmp_path: Path) -> None:
    many = workloads(quick=True)["small"]
    both = peer_clients([Peer("regctl", "regctl", "/r"), Peer("regsync", "regsync", "/s")], quick=True)

    loop = commands("regctl", many, job(tmp_path, "v0", "v1"))

    assert list(loop) == ["regctl, 8 at once"]
    assert (tmp_path / "tags").read_text().split() == ["v0", "v1"]
    assert [client.name for client in both if client.fits(ROWS[0], many)] == ["regsync"]


def test_images_in_repositories_of_their_own_are_listed_or_copied_one_by_one(tmp_path: Path) -> None:
    apart, done = workloads(quick=True)["apart"], replace(job(tmp_path, "v0", "v1"), repository="apart", apart=True)

    assert commands("skopeo", apart, done)["skopeo"].endswith(
        f"--all --dest-tls-verify=false --src yaml --dest docker {tmp_path}/images.yml 127.0.0.1:2/copy/apart"
    )
    images = json.loads((tmp_path / "images.yml").read_text())["127.0.0.1:1"]["images"]
    assert images == {"apart/v0": ["v0"], "apart/v1": ["v1"]}
    assert commands("crane", apart, done) == {
        "crane, 8 at once": f"xargs -a {tmp_path}/tags -P 8 -I {{}} /bin/crane copy "
        "127.0.0.1:1/apart/{}:{} 127.0.0.1:2/copy/apart/{}:{}"
    }
    assert list(commands("regctl", apart, done)) == ["regctl, 8 at once"]
    commands("regsync", apart, done)
    steps = json.loads((tmp_path / "regsync.yml").read_text())["sync"]
    assert steps[1] == {
        "source": "127.0.0.1:1/apart/v1:v1",
        "target": "127.0.0.1:2/copy/apart/v1:v1",
        "type": "image",
    }
    told = json.loads(our_clients([])[0].command(done)[-1])
    assert told["images"] == [[f"apart/{tag}", f"copy/apart/{tag}", tag] for tag in ("v0", "v1")]


@pytest.mark.parametrize("apart", [False, True])
def test_a_workload_is_one_repository_or_one_for_each_image(apart: bool) -> None:
    app = RegistryApp()
    workload = Workload("made", "three images", images=3, apart=apart)
    with Server() as server, Transport(TransportSettings()) as transport:
        contents = push(workload, Registry(server.serve_plain(app), transport=transport).repository("made").to_push())

    names = [f"made/v{number}" for number in range(3)] if apart else ["made"]
    assert [content.repository for content in contents] == names == sorted(app.store.names())
    assert [tag for content in contents for tag in content.tags] == ["v0", "v1", "v2"]
    for content in contents:
        held = app.store.repository(content.repository)
        assert held.tags == content.tags
        assert set(held.manifests) == set(content.manifests)
        assert set(held.blobs) == set(content.blobs)
    blobs = [digest for content in contents for digest in content.blobs]
    assert (len(set(blobs)) < len(blobs)) == apart


def test_images_of_a_list_have_a_layer_of_their_own_and_share_the_other() -> None:
    made = [lists.image_of(number) for number in range(48)]

    assert len({image.digest for image in made}) == 48
    assert len({digest for image in made for digest in image.all_blobs}) == 48 * 2 + 24
    assert made[1].all_blobs.keys() & made[25].all_blobs.keys()


def test_the_cost_of_a_list_is_told_for_each_image() -> None:
    cost = lists.Cost("local", 40, Usage(2.04, 1.0, 0.5, 64 << 10, 0, False), requests=500, tokens=80, connections=9)

    assert cost.cells == ("local", "40", "2.0", "1.5", "64", "500", "12.5", "80", "9")
    assert replace(cost, usage=replace(cost.usage, peak_rss_kib=None)).cells[4] == "–"


def test_our_client_is_told_what_to_copy(tmp_path: Path) -> None:
    clients = our_clients([{"max_connections": 64}])
    told = [json.loads(client.command(job(tmp_path, "v1"))[-1]) for client in clients]

    assert [client.is_ours for client in clients] == [True, False]
    assert [each["settings"] for each in told] == [{}, {"max_connections": 64}]
    assert told[0]["images"] == [["small", "copy/small", "v1"]]


def test_clients_get_no_settings_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")

    environment = job(tmp_path, "v1", ca=tmp_path / "ca").environment

    assert "HTTPS_PROXY" not in environment
    assert environment["HOME"] == str(tmp_path)
    assert environment["SSL_CERT_FILE"] == str(tmp_path / "ca")


@pytest.mark.parametrize("given", ["crane", "crane=/nowhere/crane", f"tool={sys.executable}"])
def test_a_peer_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(Unusable):
        find_peers([given], search=False)


def test_requests_are_counted_by_method() -> None:
    assert count_requests(_LOG) == {"HEAD": 2, "POST": 1}


def test_interrupts_are_nobodys_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.noise._TICKS", 100)

    assert busy_seconds("cpu  100 10 200 9999 50 70 80 30 0 0\ncpu0 1 1 1\n") == 3.4


def test_rounding_is_not_taken_for_work_of_others() -> None:
    assert share(0.02, wall_seconds=1.0, cores=2) == 0.0
    assert share(0.23, wall_seconds=1.0, cores=2) == pytest.approx(0.1)


@pytest.mark.parametrize("size", [100, 1 << 20, (1 << 20) + 7])
def test_layers_are_the_same_each_time_and_look_compressed(size: int) -> None:
    content = b"".join(layer_bytes("seed", size))

    assert len(content) == size
    assert content == b"".join(layer_bytes("seed", size))
    assert content.startswith(b"\x1f\x8b\x08")
    assert content[:64] != b"".join(layer_bytes("other", size))[:64]


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> Native:
    """The programs in C."""
    return compile_all(tmp_path_factory.mktemp("native"))


@needs_compiler
def test_a_client_is_not_charged_for_our_memory(native: Native, tmp_path: Path) -> None:
    ballast = bytearray(64 << 20)
    usage = run_client(native, ["true"], {"PATH": "/usr/bin:/bin"}, tmp_path, limit_seconds=20)

    assert usage.exit_code == 0
    assert usage.peak_rss_kib is not None
    assert usage.peak_rss_kib << 10 < len(ballast) / 4


@needs_compiler
def test_a_client_is_ended_at_the_limit(native: Native, tmp_path: Path) -> None:
    usage = run_client(native, ["sleep", "60"], {"PATH": "/usr/bin:/bin"}, tmp_path, limit_seconds=1)

    assert usage.timed_out
    assert 0.9 < usage.wall_seconds < 30


def test_without_a_compiler_only_memory_is_unknown(tmp_path: Path) -> None:
    usage = run_client(
        Native(None, None), ["sh", "-c", "echo said; exit 3"], {"PATH": "/usr/bin:/bin"}, tmp_path, limit_seconds=20
    )

    assert (usage.exit_code, usage.timed_out, usage.peak_rss_kib) == (3, False, None)
    assert (tmp_path / "out").read_text() == "said\n"


@pytest.fixture
def echo_port() -> Iterator[int]:
    """The port of a server that sends back what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_echo, args=(server,), daemon=True).start()
        yield server.getsockname()[1]


def _echo(server: socket.socket) -> None:
    try:
        connection = server.accept()[0]
    except OSError:
        return
    with connection:
        while received := connection.recv(1 << 16):
            connection.sendall(received)


@needs_compiler
def test_the_slow_network_delays_a_connection_and_what_goes_over_it(
    native: Native, echo_port: int, tmp_path: Path
) -> None:
    with slow_network(native, echo_port, Link(round_trip_ms=50), tmp_path / "log") as proxy:
        begin = time.monotonic()
        with socket.create_connection(("127.0.0.1", proxy.port)) as connection:
            connection.sendall(b"ping")
            first_answer = _received(connection, 4), time.monotonic() - begin
            connection.sendall(b"ping")
            second_answer = _received(connection, 4), time.monotonic() - begin
            connection.shutdown(socket.SHUT_WR)
            end = connection.recv(1), time.monotonic() - begin
        passed = proxy.finish()

    assert first_answer[0] == second_answer[0] == b"ping"
    assert end[0] == b""
    assert first_answer[1] >= 0.1  # a round trip for the connection, and one for the request
    assert second_answer[1] >= 0.15
    assert end[1] >= 0.2
    assert passed == {"connections": 1, "peak_connections": 1, "bytes_up": 8, "bytes_down": 8}


@needs_compiler
def test_the_slow_network_caps_each_connection(native: Native, echo_port: int, tmp_path: Path) -> None:
    size = 1 << 20
    with slow_network(native, echo_port, Link(cap_mib=4), tmp_path / "log") as proxy:
        begin = time.monotonic()
        with socket.create_connection(("127.0.0.1", proxy.port)) as connection:
            sender = threading.Thread(target=connection.sendall, args=(bytes(size),))
            sender.start()
            assert _received(connection, size) == bytes(size)
            sender.join()

    assert time.monotonic() - begin >= 0.24


def _received(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        part = connection.recv(size - len(received))
        assert part, f"the stream ended after {len(received)} of {size} bytes"
        received += part
    return received


def test_programs_are_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "crane"
    program.write_text("#!/bin/sh\necho v1\n")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)

    (peer,) = find_peers(["crane=./crane"], search=False)

    assert peer.path == command._program("./crane", "") == str(program)
    with pytest.raises(Unusable, match="there is no program"):
        command._program("./az", "make venv")
