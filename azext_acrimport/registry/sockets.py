# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Sockets: how long they may take, whether they are ready, and how whoever waits for one is woken up."""

from __future__ import annotations

import select
import socket
import struct
import sys

KERNEL_TIMEOUTS = sys.platform == "linux"


def set_timeout(sock: socket.socket, seconds: float) -> None:
    """Limit how long a single read or write of the socket may take.

    Where the kernel keeps the time, reads and writes need one system call each instead of two.
    """
    if not KERNEL_TIMEOUTS:
        sock.settimeout(seconds)
        return
    sock.settimeout(None)
    limit = struct.pack("ll", int(seconds), int(seconds % 1 * 1_000_000))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)


def shut(sock: socket.socket) -> None:
    """Wake up whichever thread waits for the socket."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it was closed by the peer or by its own thread


def is_ready(sock: socket.socket, seconds: float = 0.0, *, to_write: bool = False) -> bool:
    """Whether there is something to read, or room to write, within so many seconds."""
    if not hasattr(select, "poll"):  # Windows
        ready = select.select([] if to_write else [sock], [sock] if to_write else [], [], seconds)
        return bool(ready[0] or ready[1])
    poll = select.poll()  # unlike select, it takes descriptors above 1023
    poll.register(sock, select.POLLOUT if to_write else select.POLLIN)
    return bool(poll.poll(seconds * 1000))
