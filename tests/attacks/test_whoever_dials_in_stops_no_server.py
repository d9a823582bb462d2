"""Whoever dials a server without end does not keep it from starting its enclaves.

gRPC asks the server for its certificates at each connection, in a thread of its own. A server that
stopped gRPC's threads before it forks would wait for that thread, which waits for the interpreter.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from tests.attacks.smallroom import SmallRoom, small_room

DIALLERS: Final = 4
STARTS: Final = 5
"""Before it was mended the third or fourth start hung."""

DIALLING: Final = """
import socket, ssl, sys, time
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.set_alpn_protocols(["h2"])
while True:
    try:
        with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=1) as line:
            context.wrap_socket(line).close()
    except OSError:
        time.sleep(0.002)
"""


@pytest.fixture
def live(tmp_path: Path) -> Iterator[SmallRoom]:
    """Give a room with many who dial it and say nothing."""
    with small_room(tmp_path) as live, ExitStack() as left:
        config = tomllib.loads((live.room / "room.toml").read_text("utf-8"))
        port = str(config["listen"]["address"]).rpartition(":")[2]
        for _ in range(DIALLERS):
            one = left.enter_context(subprocess.Popen([sys.executable, "-c", DIALLING, port]))
            left.callback(one.kill)
        yield live


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_a_server_that_is_dialled_all_the_time_starts_its_enclaves(live: SmallRoom) -> None:
    served = 0
    for _ in range(STARTS):
        live.processes.kill("server")  # its enclave dies with it
        live.start_server()
        live.processes.wait_for(live.answers, "the server does not answer")
        live.processes.wait_for(live.serving, "no enclave serves")
        served += 1
    assert served == STARTS
