"""Whose cosignatures are asked for: m of n witnesses, and how old their word may be.

Witnesses that keep different histories apart never cosign both. Who demands more than half of them
can be shown only one history, whatever the room does; who demands fewer rests on as many of them
being honest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from saferoom_proto.checkpoint import MAX_SIGNATURES, Checkpoint, Note
from saferoom_proto.cosignature import CosignerKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.base import Part

MOST_WITNESSES: Final = MAX_SIGNATURES - 1
MOST_AHEAD_SECONDS: Final = 30
"""A word dated further ahead does not count, as it would stay young for longer than allowed. Clocks
that are set by the network are not seconds apart."""


def _witness_key(text: str) -> str:
    try:
        key = CosignerKey.parse(text)
    except SafeRoomError:
        raise ValueError("not a witness's verifier key, NAME+ID+BASE64") from None
    if key.text != text:
        raise ValueError("not in the one form of a verifier key")
    return text


WitnessKey = Annotated[str, StringConstraints(max_length=2100), AfterValidator(_witness_key)]
"""A witness's verifier key, as signed notes have them."""


@dataclass(frozen=True, slots=True)
class Vouched:
    """A witness's word on a checkpoint."""

    witness: str
    time: int
    """In seconds since 1970, by the witness's clock."""


@dataclass(frozen=True, slots=True)
class Witnessed:
    """A checkpoint that enough witnesses cosigned.

    Attributes:
        checkpoint: theirs.
        note: its note.
        by: whose word counts, the newest first.
        time: the latest instant by which as many as are asked for had given their word.
    """

    checkpoint: Checkpoint
    note: str
    by: tuple[Vouched, ...]
    time: int


class WitnessPolicy(Part):
    """How many of which witnesses must have cosigned, and how long ago at most."""

    threshold: Annotated[int, Field(ge=1, le=MOST_WITNESSES)]
    witnesses: Annotated[tuple[WitnessKey, ...], Field(min_length=1, max_length=MOST_WITNESSES)]
    max_age_seconds: Annotated[int, Field(ge=10, le=86_400)]

    @model_validator(mode="after")
    def _coherent(self) -> WitnessPolicy:
        keys = self.keys
        if len({key.public for key in keys}) != len(keys):
            raise ValueError("one witness's key stands twice, be it under two names")
        if len({key.name for key in keys}) != len(keys):
            raise ValueError("witnesses must have different names")
        if self.threshold > len(keys):
            raise ValueError("threshold is above the number of witnesses")
        return self

    @property
    def keys(self) -> tuple[CosignerKey, ...]:
        """The witnesses' keys."""
        return tuple(CosignerKey.parse(each) for each in self.witnesses)

    def counted(self, checkpoint: Checkpoint, note: str, now: int | None = None) -> Witnessed:
        """Check that enough witnesses cosigned a checkpoint, however long ago.

        Args:
            checkpoint: opened from the note under the log's key.
            note: with the witnesses' lines.
            now: in seconds since 1970; given, words dated ahead do not count.

        Raises:
            SafeRoomError: `BAD_SIGNATURE` for a line of one of these witnesses that does not
                verify; `NOT_WITNESSED` if too few count.
        """
        vouched = [
            each
            for each in vouched_by(self.keys, checkpoint, note)
            if now is None or each.time <= now + MOST_AHEAD_SECONDS
        ]
        if len(vouched) < self.threshold:
            detail = f"{len(vouched)} of {self.threshold} witnesses cosigned size {checkpoint.size}"
            raise SafeRoomError(Reason.NOT_WITNESSED, detail)
        return Witnessed(checkpoint, note, tuple(vouched), vouched[self.threshold - 1].time)

    def require(self, checkpoint: Checkpoint, note: str, now: int) -> Witnessed:
        """Check that enough witnesses cosigned a checkpoint, and lately.

        Raises:
            SafeRoomError: as `counted`; `NOT_WITNESSED` if their word is too old.
        """
        witnessed = self.counted(checkpoint, note, now)
        self.require_young(witnessed.time, now)
        return witnessed

    def require_young(self, time: int, now: int) -> None:
        """Refuse with `NOT_WITNESSED` words that are older than may be."""
        if now - time > self.max_age_seconds:
            detail = f"{self.threshold} of the witnesses last cosigned {now - time} s ago"
            raise SafeRoomError(Reason.NOT_WITNESSED, detail)


def vouched_by(
    keys: Iterable[CosignerKey], checkpoint: Checkpoint, note: str
) -> tuple[Vouched, ...]:
    """Tell which of some witnesses cosigned a note's checkpoint, the newest word first.

    A witness counts once however many lines it has; lines by other keys are passed over.

    Raises:
        SafeRoomError: `BAD_SIGNATURE` for a line of one of these keys that does not verify;
            `MALFORMED` for a broken note.
    """
    lines = Note.parse(note).signatures
    found: list[Vouched] = []
    for key in keys:
        times = [key.verify(line, checkpoint) for line in lines if key.signed(line)]
        if times:
            found.append(Vouched(key.name, max(times)))
    return tuple(sorted(found, key=lambda each: -each.time))
