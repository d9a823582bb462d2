"""Looks a room's folder over without starting it: what counts, and what will go wrong."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, cast

from cryptography import x509

from saferoom.config import RoomConfig
from saferoom.room import CARD_FILE, Room
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

_SOON: Final = timedelta(days=30)
"""Certificates that end sooner are named: new ones have to reach every member."""

_PUBLIC: Final = ("issuers", CARD_FILE)
"""Beside what is secret; others may read these, if they may enter the folder."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of the configuration as it counts."""

    key: str
    value: object
    is_default: bool


@dataclass(frozen=True, slots=True)
class Examined:
    """A room's folder that can be served.

    Attributes:
        origin: the room's name.
        settings: every key, in the order of `room.toml`.
        warnings: what will go wrong later, or goes wrong for others.
    """

    origin: str
    settings: tuple[Setting, ...]
    warnings: tuple[str, ...]


def examine_room(folder: Path, now: datetime) -> Examined:
    """Look a room's folder over; as `Room.open`, it makes no more than the enclaves' certificate.

    Raises:
        SafeRoomError: `BAD_CONFIG`, naming the file or key, for what the room would not start on.
    """
    room = Room.open(folder)
    _require_private(folder)
    _require_card(room)
    if not room.issuers:
        fault = FieldFault("issuers", "no identity issuer is admitted: saferoom room admit")
        raise SafeRoomError(Reason.BAD_CONFIG, fault.rule, [fault])
    return Examined(room.config.origin, tuple(_settings(room.config)), tuple(_warnings(room, now)))


def _settings(config: RoomConfig) -> Iterator[Setting]:
    plain = cast("Mapping[str, object]", config.model_dump(mode="json"))
    given = cast("Mapping[str, object]", config.model_dump(mode="json", exclude_unset=True))
    for name, value in plain.items():
        if not isinstance(value, dict):
            yield Setting(name, value, name not in given)
            continue
        section = cast("Mapping[str, object]", given.get(name, {}))
        for key, inner in cast("Mapping[str, object]", value).items():
            yield Setting(f"{name}.{key}", inner, key not in section)


def _require_private(folder: Path) -> None:
    """Refuse secrets that others may read."""
    for path in sorted(folder.rglob("*")):
        part = path.relative_to(folder).parts[0]
        if part in _PUBLIC or part in ("enclaves", "run") or path.is_symlink():
            continue
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            wanted = "700" if path.is_dir() else "600"
            fault = FieldFault(str(path), f"others may use it: chmod {wanted} {path}")
            raise SafeRoomError(Reason.BAD_CONFIG, f"{path}: {fault.rule}", [fault])


def _require_card(room: Room) -> None:
    """Refuse a card that says something else than the room's keys and configuration."""
    path = room.folder / CARD_FILE
    if not path.exists() or path.read_bytes() != room.card().to_json():
        fault = FieldFault(CARD_FILE, "does not say what the room's keys and room.toml say")
        raise SafeRoomError(Reason.BAD_CONFIG, f"{path}: {fault.rule}", [fault])


def _warnings(room: Room, now: datetime) -> Iterator[str]:
    issuers = [x509.load_pem_x509_certificate(each.encode()) for each in room.issuers]
    named = [
        ("tls/server.pem", room.server.certificate),
        ("tls/ca.pem", room.authority),
        *((f"issuer {each.subject.rfc4514_string()}", each) for each in issuers),
    ]
    for name, certificate in named:
        left = certificate.not_valid_after_utc - now
        if left <= timedelta():
            yield f"{name}: the certificate has ended, nobody connects"
        elif left < _SOON:
            yield f"{name}: the certificate ends in {left.days} days"
    scratch = room.config.enclaves.scratch
    if not scratch.is_dir():
        yield f"enclaves.scratch: {scratch} is no folder; an enclave does not start without it"
    elif _kind_of(scratch) not in ("tmpfs", "ramfs"):
        yield f"enclaves.scratch: {scratch} is not in memory; tables would touch a disk"
    if not room.config.enclaves.sandbox:
        yield "enclaves.sandbox: off; charters that ask for a sandbox refuse such an enclave"
    if _swaps():
        yield "this host swaps: what an enclave holds could reach a disk (swapoff -a)"


def _kind_of(folder: Path) -> str:
    """Give the kind of file system that a folder lies on, by the longest place mounted above it."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text("utf-8").splitlines()]
    above = [each for each in mounts if folder.resolve().is_relative_to(each[1])]
    return max(above, key=lambda each: len(each[1]))[2] if above else ""


def _swaps() -> bool:
    return len(Path("/proc/swaps").read_text("utf-8").splitlines()) > 1
