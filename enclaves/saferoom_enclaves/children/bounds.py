"""What a child may use, and how it ended."""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass
from enum import StrEnum
from typing import cast

from saferoom_proto.reasons import Reason, SafeRoomError


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one child may use. The kernel and the fork server hold it to them.

    Attributes:
        address_space_bytes: RLIMIT_AS: DuckDB's own limit does not hold.
        cpu_seconds: RLIMIT_CPU.
        wall_seconds: the fork server kills it then.
        output_bytes: RLIMIT_FSIZE: the largest file it may write.
        scratch: whether it may write into the scratch folder.
    """

    address_space_bytes: int
    cpu_seconds: int
    wall_seconds: float
    output_bytes: int
    scratch: bool = False

    def __post_init__(self) -> None:
        """Refuse what bounds nothing."""
        numbers = (
            self.address_space_bytes,
            self.cpu_seconds,
            self.wall_seconds,
            self.output_bytes,
        )
        if not all(0 < number < float("inf") for number in numbers):
            raise SafeRoomError(Reason.BAD_CONFIG, "a child's bounds are positive")

    def to_bytes(self) -> bytes:
        """Write them for the fork server."""
        return json.dumps(astuple(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Bounds:
        """Read them there; they come from the enclave, and from nobody else."""
        return cls(*cast("tuple[int, int, float, int, bool]", json.loads(data)))


class Ending(StrEnum):
    """How a child ended, as the fork server saw it."""

    DONE = "done"
    PROCESSOR_TIME = "processor-time"
    TIME = "time"
    CANCELLED = "cancelled"
    CRASHED = "crashed"
