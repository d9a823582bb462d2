"""A `saferoom` command that starts at once: forked from a process that has imported it already.

Starting Python and importing the client takes most of a second of a processor for each command; a
page of fifty commands would take longer than all else that it does. Each command is still a
process of its own, with the arguments, folder and streams of whoever calls it.

    python warm.py SOCKET     serves; `put_command` makes the program that calls it

Whatever else costs as much to start is forked likewise: `serve` takes what is to run.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Final, cast

LIMIT: Final = 1 << 16
"""Bytes of a call: its folder and arguments."""

# Isolated and without site packages, so that the caller's own start costs next to nothing.
_CALLER: Final = """\
#!{python} -IS
import json, os, socket, sys

parent = os.getppid()
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as call:
    call.connect({path!r})
    socket.send_fds(call, [json.dumps([os.getcwd(), *sys.argv[1:]]).encode()], [0, 1, 2])
    call.settimeout(0.2)
    status = None
    while status is None:
        try:
            status = call.recv(1)
        except TimeoutError:
            if os.getppid() != parent:
                sys.exit("its caller is gone")
sys.exit(status[0] if status else "it ended without a status")
"""

Run = Callable[[list[str], socket.socket], int]
"""What runs with its arguments; gives its status. The socket ends with whoever called."""

_COMMANDS: Final = (
    *("org", "room", "issuer", "agent", "charter", "trust", "feature", "data", "template"),
    *("agreement", "consent", "check", "receipt", "log", "pause"),
)
_LATE: Final = ("saferoom_proto.formula.parse", "cryptography.hazmat.backends.openssl.backend")
"""What they import only when they need it, and most do."""


def put_command(folder: Path, path: Path) -> None:
    """Put a program `saferoom` into a folder, for the server at a socket's path."""
    folder.mkdir()
    command = folder / "saferoom"
    command.write_text(_CALLER.format(python=sys.executable, path=str(path)), "utf-8")
    command.chmod(0o700)


def serve(listener: socket.socket, run: Run) -> None:
    """Fork what is to run for each call, until stopped."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits: each tells its own status
    while True:
        call, _ = listener.accept()
        with call:
            if os.fork() == 0:
                listener.close()
                _answer(call, run)


def _answer(call: socket.socket, run: Run) -> None:
    """Be what was called, in a process of its own; does not come back."""
    status = 70  # EX_SOFTWARE of sysexits.h
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        data, streams, _, _ = socket.recv_fds(call, LIMIT, 3)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        folder, *arguments = cast("list[str]", json.loads(data))
        os.chdir(folder)
        status = run(arguments, call)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        with suppress(OSError):  # whoever called is gone
            call.send(bytes([status]))
        os._exit(status)


def main(path: str) -> None:
    """Serve the commands at a socket's path."""
    for name in (*(f"saferoom_client.cli.{each}" for each in _COMMANDS), *_LATE):
        import_module(name)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        # Only a socket that is listened to gets the name by which callers know that it is there.
        listener.bind(f"{path}.new")
        listener.listen()
        Path(f"{path}.new").rename(path)
        serve(listener, _command)


def _command(arguments: list[str], call: socket.socket) -> int:
    from saferoom_client.cli import main  # noqa: PLC0415 -- whoever only calls has no need of it

    del call
    sys.argv = ["saferoom", *arguments]
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


if __name__ == "__main__":
    main(sys.argv[1])
