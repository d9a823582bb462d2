"""Files of a member's folder: private ones readable by their owner only, and written whole.

A file is written beside its name and then moved there, so that a crash leaves either the old one
or the new one, and both on the disk before anything that rests on them leaves the process.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import tempfile
from collections.abc import Generator, Iterable
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError

from saferoom_proto.encoding import parse_object
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements.base import field_faults

PRIVATE_FOLDER: Final = 0o700
PRIVATE_FILE: Final = 0o600
PUBLIC_FILE: Final = 0o644

MOST_BYTES: Final = 512 << 20
"""Of a file that is read whole. The largest is the file of a batch, or its receipt: a million rows
of 126 bytes; text of this length takes five times as much memory."""

_LOCK: Final = ".lock"
_NEAR: Final = 3
"""Folders that are named at most in the place of a wrong one."""

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO

Model = TypeVar("Model", bound=BaseModel)


def make_folder(folder: Path) -> Path:
    """Make a folder that only its owner may enter; one that is there keeps its content.

    Raises:
        SafeRoomError: `BAD_CONFIG` if others may enter it.
    """
    folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    _refuse_others(folder)
    return folder


def require_folder_with(folder: Path, name: str) -> None:
    """Refuse a folder that lacks the file by which one of its kind is known.

    Raises:
        SafeRoomError: `BAD_CONFIG` naming it, and folders below it that are of that kind.
    """
    if not folder.is_dir():
        raise bad_file(folder, "there is no such folder")
    if (folder / name).exists():
        return
    rule = f"it holds no {name}"
    found = sorted(each.parent for depth in ("*", "*/*") for each in folder.glob(f"{depth}/{name}"))
    if near := ", ".join(map(str, found[:_NEAR])):
        rule = f"it holds no {name}; near it: {near}"
    raise bad_file(folder, rule)


@contextmanager
def alone_with(path: Path, refusal: SafeRoomError | None = None) -> Generator[None]:
    """Keep other processes that ask for the same from a file meanwhile.

    Args:
        path: a file that is never written anew: what takes its name is another file.
        refusal: raised if another process has it; without one it is waited for.
    """
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if refusal is None else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise (refusal or error) from error
        yield
    finally:
        os.close(handle)


def changing(folder: Path) -> AbstractContextManager[None]:
    """Keep our other processes from changing what is in a folder; they wait for each other."""
    lock = folder / _LOCK
    lock.touch(PRIVATE_FILE)
    return alone_with(lock)


def write_file(path: Path, data: bytes | Iterable[bytes], mode: int = PRIVATE_FILE) -> None:
    """Write a file whole and durably, in place of an older one of its name.

    Args:
        path: where to.
        data: all of it, or one piece after another.
        mode: of the file.

    Raises:
        SafeRoomError: `BAD_CONFIG` naming the file where nothing can be written.
    """
    handle, name = _beside(path)
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines((data,) if isinstance(data, bytes) else data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError):  # as where the disk is full: it names no file itself
            raise bad_file(path, error.strerror or "it can not be written") from error
        raise
    _sync_folder(path.parent)


def require_writable(*paths: Path | None) -> None:
    """Refuse places where nothing can be written, before what belongs there costs anything.

    Raises:
        SafeRoomError: `BAD_CONFIG` naming the file.
    """
    for path in paths:
        if path is None:
            continue
        handle, name = _beside(path)
        os.close(handle)
        Path(name).unlink()


def read_filled(path: Path) -> bytes:
    """Read a file that people are shown or keep; an empty one shows them nothing.

    Raises:
        SafeRoomError: `BAD_CONFIG` naming the file.
    """
    data = read_file(path)
    if not data.strip():
        raise bad_file(path, "it is empty")
    return data


def read_file(path: Path) -> bytes:
    """Read a file that may be public.

    Raises:
        SafeRoomError: `BAD_CONFIG` naming the file.
    """
    try:
        size = path.stat().st_size
        data = b"" if size > MOST_BYTES else path.read_bytes()
    except OSError as error:
        raise bad_file(path, error.strerror or "it can not be read") from error
    if size > MOST_BYTES:
        raise bad_file(path, f"it has {size} bytes; at most {MOST_BYTES} are read at once")
    return data


def read_private(path: Path) -> bytes:
    """Read a file that holds a secret, and refuse one that others may read.

    Raises:
        SafeRoomError: `BAD_CONFIG` naming the file and the rule.
    """
    data = read_file(path)
    _refuse_others(path)
    return data


def read_model(path: Path, kind: type[Model]) -> Model:
    """Read a JSON file of one kind; unknown and repeated keys are errors.

    Raises:
        SafeRoomError: `BAD_CONFIG` naming the file, the key and the rule.
    """
    data = read_file(path)
    try:
        parse_object(data)
        return kind.model_validate_json(data)
    except ValidationError as error:
        faults = [FieldFault(f"{path}: {one.field}", one.rule) for one in field_faults(error)]
        raise SafeRoomError(Reason.BAD_CONFIG, f"{path} is not usable", faults) from None
    except SafeRoomError as error:
        raise bad_file(path, error.detail) from error


def write_model(path: Path, model: BaseModel, mode: int = PRIVATE_FILE) -> None:
    """Write a JSON file that people can read too."""
    write_file(path, model.model_dump_json(indent=1).encode() + b"\n", mode)


def refuse_existing(path: Path) -> None:
    """Refuse to write over what is there: a lost key is lost for good.

    Raises:
        SafeRoomError: `BAD_CONFIG` naming the file.
    """
    if path.exists():
        raise bad_file(path, "it is there already and is not written over")


def bad_file(path: Path, rule: str) -> SafeRoomError:
    """Make the refusal of one file."""
    return SafeRoomError(Reason.BAD_CONFIG, f"{path}: {rule}", [FieldFault(str(path), rule)])


def _beside(path: Path) -> tuple[int, str]:
    """Open a new file beside another, of no name that anybody reads."""
    if path.is_dir():
        raise bad_file(path, os.strerror(errno.EISDIR))
    try:
        return tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except FileNotFoundError as error:
        raise bad_file(path, "there is no such folder to write it to") from error
    except OSError as error:
        raise bad_file(path, error.strerror or "it can not be written") from error


def _refuse_others(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & _OTHERS:
        wanted = PRIVATE_FOLDER if path.is_dir() else PRIVATE_FILE
        rule = f"others may use it (mode {mode:04o}); make it {wanted:04o}: chmod {wanted:o} {path}"
        raise bad_file(path, rule)


def _sync_folder(folder: Path) -> None:
    """Make the new name itself durable, not only the bytes behind it."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
