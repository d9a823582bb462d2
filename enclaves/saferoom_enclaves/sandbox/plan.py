"""What a sandbox is asked to be, and what it turned out to be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from saferoom_proto.reasons import Reason, SafeRoomError


class Part(StrEnum):
    """One part of the sandbox: it holds, or the report says why it is missing."""

    NAMESPACES = "namespaces"
    RESOURCE_LIMITS = "resource-limits"
    NOT_DUMPABLE = "not-dumpable"
    NO_NEW_PRIVILEGES = "no-new-privileges"
    EMPTY_BOUNDING_SET = "empty-bounding-set"
    NO_CAPABILITIES = "no-capabilities"
    DIES_WITH_PARENT = "dies-with-parent"
    LANDLOCK_FILES = "landlock-files"
    LANDLOCK_TRUNCATE = "landlock-truncate"
    LANDLOCK_TCP = "landlock-tcp"
    LANDLOCK_DEVICES = "landlock-devices"
    LANDLOCK_SCOPES = "landlock-scopes"
    SYSTEM_CALLS = "system-calls"


_LEVEL_1: Final = frozenset(
    {
        Part.RESOURCE_LIMITS,
        Part.NOT_DUMPABLE,
        Part.NO_NEW_PRIVILEGES,
        Part.NO_CAPABILITIES,
        Part.SYSTEM_CALLS,
    }
)
_LEVEL_2: Final = _LEVEL_1 | {Part.LANDLOCK_FILES}
_LEVEL_3: Final = _LEVEL_2 | {Part.LANDLOCK_TCP, Part.NAMESPACES}


@dataclass(frozen=True, slots=True)
class SandboxPlan:
    """What a process keeps when it confines itself. All paths must exist by then.

    Attributes:
        read_only: files and folders it may read: the interpreter and its libraries
            (`interpreter_paths`), and nothing of another owner.
        read_write: its own folders: state, sealed snapshots, and scratch on tmpfs.
        socket_folders: where it may make unix sockets.
        address_space_bytes: RLIMIT_AS. It counts what is mapped, not what is used: the memfd of a
            store, and some 64 MiB a thread.
        open_files: RLIMIT_NOFILE.
        die_with_parent: has the kernel kill it when the thread that started it ends.
    """

    read_only: tuple[Path, ...]
    read_write: tuple[Path, ...] = ()
    socket_folders: tuple[Path, ...] = ()
    address_space_bytes: int = 4 << 30
    open_files: int = 256
    die_with_parent: bool = False

    def __post_init__(self) -> None:
        """Refuses a plan that gives everything or nothing, or names a path that is not there."""
        if self.address_space_bytes <= 0 or self.open_files <= 0:
            raise SafeRoomError(Reason.BAD_CONFIG, "a sandbox limit is not positive")
        for path in (*self.read_only, *self.read_write, *self.socket_folders):
            if not path.is_absolute() or path.parent == path:
                raise SafeRoomError(
                    Reason.BAD_CONFIG, f"the sandbox needs an absolute path below /, not {path}"
                )
            if not path.exists():
                raise SafeRoomError(Reason.BAD_CONFIG, f"the sandbox path {path} does not exist")


@dataclass(frozen=True, slots=True)
class SandboxReport:
    """What holds of a sandbox, what does not, and the level that this makes.

    Attributes:
        level: 3: namespaces, Landlock (ABI 4 or newer), seccomp and limits; 2: Landlock, seccomp
            and limits; 1: seccomp and limits; 0: less, fit for development only.
        holds: the parts in force, by their names in `Part`.
        missing: the parts not in force, each with the host's own reason.
    """

    level: int
    holds: tuple[str, ...]
    missing: tuple[str, ...]

    @classmethod
    def of(cls, holds: Iterable[Part], missing: Iterable[str]) -> SandboxReport:
        """Makes the report and derives its level."""
        parts = tuple(holds)
        levels = (_LEVEL_1, _LEVEL_2, _LEVEL_3)
        level = sum(needed <= set(parts) for needed in levels)
        return cls(level, tuple(str(part) for part in parts), tuple(missing))

    def require(self, minimum_level: int) -> None:
        """Refuses a sandbox that is weaker than its owner's charter demands.

        Raises:
            SafeRoomError: SANDBOX_TOO_WEAK, naming what is missing.
        """
        if self.level < minimum_level:
            raise SafeRoomError(
                Reason.SANDBOX_TOO_WEAK,
                f"level {self.level} of {minimum_level}; missing: {'; '.join(self.missing)}",
            )
