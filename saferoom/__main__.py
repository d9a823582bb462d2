"""`python -m saferoom FOLDER` serves the room in a folder."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from saferoom.serving import run
from saferoom_proto.reasons import SafeRoomError

USAGE = "usage: python -m saferoom FOLDER"


def main(argv: Sequence[str] | None = None) -> int:
    """Serve a room; gives the exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.stderr.write(f"{USAGE}\n")
        return 2
    try:
        run(Path(arguments[0]))
    except SafeRoomError as error:
        sys.stderr.write(f"{error.words.what} {error.words.next_step} {error.detail}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
