"""systemd units for the programs of a room, each with as little as it needs.

`saferoom-NAME.service` beside this module is a unit with gaps; `write_unit` fills them in. A unit
belongs to whoever runs its program: the operator writes the room's, each owner its own. What every
unit has in common stands in `common.conf`, which is written beside it as a drop-in.

Source: systemd.exec(5), systemd.resource-control(5) and systemd.service(5) of systemd 252, which
Debian 12 has. Newer ones take the same settings.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Final

from saferoom_client.files import PUBLIC_FILE, bad_file, refuse_existing, write_file
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

_SETTINGS: Final = "common.conf"
_PLAIN: Final = re.compile(r"/[\w./+@:-]+")
"""A path that systemd reads as it stands: no blanks, quotes, `%` or `$`."""
_USER: Final = re.compile(r"[a-z_][a-z0-9_-]{0,30}")
"""As useradd(8) takes them."""


_GAP: Final = re.compile(r"@\{([a-z_]+)\}")
"""`$` and `%` have meanings of their own in a unit, and `@` stands before groups of calls."""


def write_unit(
    out: Path, name: str, folder: Path, user: str, settings: Mapping[str, str], *, suffix: str = ""
) -> tuple[Path, Path]:
    """Write a unit, filled in, and its drop-in with what all units have in common.

    Args:
        out: the folder to write into; nothing that is there is written over.
        name: of the unit: `room`, `key-agent`, ...
        folder: the only one that the program may write; it stands for `@{folder}`.
        user: as whom it runs.
        settings: the unit's other gaps.
        suffix: tells the unit from others of its name on the same host.

    Returns:
        The unit's file and its drop-in's.

    Raises:
        SafeRoomError: `BAD_CONFIG` for a path or user that systemd would read otherwise, and for a
            file that is there.
    """
    if not _USER.fullmatch(user):
        fault = FieldFault("user", "lower case letters, digits, - and _, at most 31")
        raise SafeRoomError(Reason.BAD_CONFIG, f"user: {fault.rule}", [fault])
    unit = f"saferoom-{name}{suffix}.service"
    gaps = {
        **settings,
        "unit": unit,
        "user": user,
        "folder": plain(folder),
        "python": plain(Path(sys.executable), follow=False),
        "software": " ".join(
            dict.fromkeys(plain(Path(each)) for each in (sys.prefix, sys.base_prefix))
        ),
    }
    written = (out / unit, out / f"{unit}.d" / "50-common.conf")
    for path in written:
        refuse_existing(path)
    for path, source in zip(written, (f"saferoom-{name}.service", _SETTINGS), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        text = resources.files(__name__).joinpath(source).read_text("utf-8")
        write_file(path, _GAP.sub(lambda gap: gaps[gap[1]], text).encode(), PUBLIC_FILE)
    return written


def plain(path: Path, *, follow: bool = True) -> str:
    """Give a path's absolute form, if systemd reads it as it stands.

    A virtual environment's interpreter is a link that must not be followed.

    Raises:
        SafeRoomError: `BAD_CONFIG`.
    """
    text = str(path.resolve() if follow else path.absolute())
    if not _PLAIN.fullmatch(text):
        raise bad_file(path, "a unit names no path with blanks or signs but . / + @ : - _")
    return text
