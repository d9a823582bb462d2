"""The folder between supervisor and relay: an order goes in, an enclave's door comes out.

charter.json      the owner's charter, as the relay was given it by the room
switchboard.json  the room's statement of its certificate, likewise
door.json         the enclave that listens, as its supervisor started it
door/s            its socket

The two may run as different users, in one group that this folder belongs to (mode 2770). Neither
takes from the other more than it checks, and no name in here is followed out of it.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, StringConstraints, ValidationError

from saferoom_client.files import PUBLIC_FILE, bad_file, write_file, write_model
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import parse_object
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.starting import SOCKET_PATH_BYTES
from saferoom_proto.statements import Digest
from saferoom_proto.statements.base import Part

CHARTER: Final = "charter.json"
SWITCHBOARD: Final = "switchboard.json"
DOOR: Final = "door.json"

_MOST_BYTES: Final = 1 << 20
"""An envelope of the longest charter in base64, and more."""
_SOCKET_FOLDER: Final = 0o750
_SOCKET: Final = 0o660
"""For the relay's user: its group connects, nobody else enters the folder."""


class DoorFile(Part):
    """An enclave that listens, and what it was started with."""

    certificate: Annotated[str, StringConstraints(max_length=16_000)]
    """On its socket, PEM."""
    charter: Digest
    switchboard: Digest
    sandbox_level: Annotated[int, Field(ge=0, le=3)]
    sandbox_missing: tuple[str, ...]
    launch: Annotated[str, StringConstraints(max_length=16_000)]
    """The supervisor's statement: a DSSE envelope, JSON."""


@dataclass(frozen=True, slots=True)
class Order:
    """What an enclave is to be started with, as it was said; not verified."""

    charter: Envelope
    switchboard: Envelope

    def fits(self, door: DoorFile | None) -> bool:
        """Tell whether the enclave that listens was started with it."""
        mine = (self.charter.digest, self.switchboard.digest)
        return door is not None and (door.charter, door.switchboard) == mine


@dataclass(frozen=True, slots=True)
class Exchange:
    """The folder, for both sides."""

    folder: Path

    @property
    def socket(self) -> Path:
        """Where the enclave listens.

        Raises:
            SafeRoomError: `BAD_CONFIG` if the path is too long for a socket.
        """
        return fitting(self.folder.resolve() / "door" / "s")

    # The relay's side.

    def offer(self, order: Order) -> None:
        """Hand on what the room said."""
        for name, statement in ((CHARTER, order.charter), (SWITCHBOARD, order.switchboard)):
            data = statement.to_json()
            if read_untrusted(self.folder / name) != data:
                write_file(self.folder / name, data, PUBLIC_FILE)

    def door(self) -> DoorFile | None:
        """Read which enclave listens; none if none does.

        Raises:
            SafeRoomError: `BAD_CONFIG` if the file is not what a supervisor writes.
        """
        path = self.folder / DOOR
        data = read_untrusted(path)
        if data is None:
            return None
        try:
            parse_object(data, _MOST_BYTES)
            return DoorFile.model_validate_json(data)
        except (ValidationError, SafeRoomError) as error:
            raise bad_file(path, "not the door of an enclave") from error

    # The supervisor's side.

    def offered(self, name: str) -> bytes | None:
        """Read what the relay handed on, as it is."""
        return read_untrusted(self.folder / name)

    def open_socket_folder(self) -> Path:
        """Make the socket's folder anew, and give the socket's path."""
        self.close_door()
        path = self.socket
        try:
            path.parent.mkdir()
        except OSError as error:  # the relay's user may have put something in its place
            raise bad_file(path.parent, error.strerror or "it can not be made") from error
        _set_mode(path.parent, _SOCKET_FOLDER, stat.S_ISDIR)
        return path

    def open_door(self, door: DoorFile) -> None:
        """Show the enclave that listens."""
        _set_mode(self.socket, _SOCKET, stat.S_ISSOCK)
        write_model(self.folder / DOOR, door, PUBLIC_FILE)

    def close_door(self) -> None:
        """Take the door away: nothing listens."""
        (self.folder / DOOR).unlink(missing_ok=True)
        shutil.rmtree(self.folder / "door", ignore_errors=True)


def fitting(path: Path) -> Path:
    """Give a socket's path back, if it is short enough for one.

    Raises:
        SafeRoomError: `BAD_CONFIG`.
    """
    if len(os.fsencode(path)) > SOCKET_PATH_BYTES:
        raise bad_file(path, f"a socket's path has at most {SOCKET_PATH_BYTES} bytes")
    return path


def _set_mode(path: Path, mode: int, is_kind: Callable[[int], bool]) -> None:
    """Set the mode of what stands here itself: the relay's user may put links in its place.

    Raises:
        SafeRoomError: `BAD_CONFIG` if it is a link, lies behind one, or is of another kind.
    """
    folder = here = -1
    try:
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        here = os.open(path.name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        if not is_kind(os.fstat(here).st_mode):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        Path(f"/proc/self/fd/{here}").chmod(mode)
    except OSError as error:
        raise bad_file(path, error.strerror or "its mode can not be set") from error
    finally:
        for handle in (folder, here):
            if handle >= 0:
                os.close(handle)


def read_untrusted(path: Path) -> bytes | None:
    """Read a small plain file that somebody else may have put there; none if there is none.

    Raises:
        SafeRoomError: `BAD_CONFIG` for a link, a pipe, or a file that is too long.
    """
    try:
        # A pipe would be waited for, and a link would lead to a file of ours.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise bad_file(path, error.strerror or "it can not be read") from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise bad_file(path, "not a plain file")
    with os.fdopen(handle, "rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise SafeRoomError(Reason.TOO_LARGE, f"{path}: more than {_MOST_BYTES} bytes")
    return data
