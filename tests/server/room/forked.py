"""Stand-ins for enclaves that start at once, forked from a process that has imported one already.

Starting Python and importing what a stand-in needs takes half a second of a processor; a room of a
test starts two of them. Each is still a process of its own, and ends with whoever started it.
"""

from __future__ import annotations

import atexit
import shutil
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from tests.flow.warm import put_command

_PROGRAM: Final = """
import asyncio, socket, sys
sys.path[:0] = sys.argv[2:]
from saferoom_enclaves.sandbox.limits import die_with_parent
from tests.flow.warm import serve
from tests.server.room.fake_enclave import main
die_with_parent()
serve(socket.socket(fileno=int(sys.argv[1])), lambda _, call: asyncio.run(main(call)) or 0)
"""
_PLACE: Final = Path(__file__).resolve().parents[3]


@cache
def fake() -> str:
    """Give the program that starts one; what they are forked from ends with this process."""
    folder = Path(mkdtemp(prefix="saferoom-fakes-"))
    atexit.register(shutil.rmtree, folder)
    put_command(folder / "bin", folder / "calls")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(folder / "calls"))
        listener.listen()
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(listener.fileno()), str(_PLACE)],
            pass_fds=(listener.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    def end() -> None:
        process.kill()
        process.wait()

    atexit.register(end)
    return str(folder / "bin" / "saferoom")
