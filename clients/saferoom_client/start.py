"""Begin the command line: Ctrl-C ends it quietly from the first, while it is still being read."""

from __future__ import annotations

import sys
from typing import Final

_INTERRUPTED: Final = 130
"""As a shell tells of a program that SIGINT ended: 128 and the signal's number."""


def main() -> None:
    """Read the command line's modules, which takes a third of a second, and run it."""
    try:
        from saferoom_client.cli import main as run  # noqa: PLC0415 - within what takes Ctrl-C

        run()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
