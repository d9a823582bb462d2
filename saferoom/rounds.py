"""What witnesses cosigned: checkpoints in rounds, each round's lines under one note.

Witnesses come when they like. So that their words meet under one note, a checkpoint stays the one
to be cosigned for some seconds, and is then followed by the newest. Nothing rests on this being
right: whoever demands witnesses checks every line itself.

The last rounds are kept in a file beside the log, which no backup holds: witnesses cosign again
within seconds. A log that is shorter than what stands there was put back to an older state.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from saferoom.durably import replace_file
from saferoom.ledger.ledger import Ledger
from saferoom_proto.checkpoint import (
    MAX_SIGNATURES,
    Checkpoint,
    Note,
    NoteSignature,
    add_lines,
)
from saferoom_proto.cosignature import CosignerKey
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError, TryLaterError
from saferoom_proto.statements.base import Part
from saferoom_proto.statements.witnesses import MOST_AHEAD_SECONDS, WitnessPolicy

FILE: Final = "cosigned.json"
MOST_ROUNDS: Final = 8
"""Who comes seldom is in one round of several, and is still shown."""
MOST_BEHIND: Final = timedelta(seconds=60)
"""A head that is cosigned is published for so long after the log has grown beyond it."""
MOST_POLICIES: Final = 64
"""Owners whose answers are kept; more are verified anew, in a millisecond each."""
LEAST_SECONDS: Final = 1.0
"""Between two cosignatures of one organisation: each costs a verification and a write."""


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A witness's word as it was handed in: its key and the note's line."""

    key: CosignerKey
    line: str


@dataclass(slots=True)
class Round:
    """One checkpoint, and who cosigned it, by organisation."""

    note: str
    checkpoint: Checkpoint
    began: datetime
    words: Mapping[str, Cosignature] = field(default_factory=dict[str, Cosignature])
    """Never changed but replaced: other threads read it."""

    @property
    def cosigned(self) -> str:
        """The note with the witnesses' lines."""
        return add_lines(self.note, (word.line for word in self.words.values()))


class _KeptWord(Part):
    key: str
    line: str


class _KeptRound(Part):
    note: str
    words: dict[str, _KeptWord]


class _Kept(Part):
    rounds: tuple[_KeptRound, ...]


class Rounds:
    """Gathers cosignatures, in the server's event loop.

    Args:
        ledger: gives checkpoints.
        path: of the file that keeps them.
        clock: gives aware instants.
        interval: how long a checkpoint stays the one to be cosigned.
    """

    def __init__(
        self, ledger: Ledger, path: Path, clock: Callable[[], datetime], interval: timedelta
    ) -> None:
        self._ledger: Final = ledger
        self._path: Final = path
        self._clock: Final = clock
        self._interval: Final = interval
        self._rounds: list[Round] = []
        self._came: dict[str, datetime] = {}
        self._met: Final[dict[tuple[WitnessPolicy, str], bool]] = {}
        self._writing: Final = asyncio.Lock()

    def load(self) -> None:
        """Read what was kept, and hold the log against it.

        Raises:
            SafeRoomError: `BAD_PROOF` if witnesses cosigned what the log does not begin with.
        """
        for each in self._kept():
            self._require_holds(each.checkpoint)
            self._rounds.append(each)

    def to_cosign(self) -> str:
        """Give the checkpoint that witnesses are to cosign now."""
        now = self._clock()
        newest = self._rounds[-1] if self._rounds else None
        tip = self._ledger.tip()
        if newest is None or (
            tip.size > newest.checkpoint.size
            and not timedelta(0) <= now - newest.began < self._interval
        ):
            newest = Round(tip.note, Checkpoint.parse(Note.parse(tip.note).text), now)
            self._rounds = [*self._rounds, newest][-MOST_ROUNDS:]
        return newest.note

    async def add(self, organisation: str, size: int, word: Cosignature) -> None:
        """Take an organisation's cosignature; once this returns, it is on the disk.

        Raises:
            SafeRoomError: `BAD_SIGNATURE`; `CONFLICT` if that checkpoint is not to be cosigned any
                more, or another organisation's witness has that key or id; `TOO_MANY_REQUESTS`.
        """
        # Step 1: not too often, and on a checkpoint of this log that is still open.
        now = self._clock()
        since = now - self._came.get(organisation, now - timedelta(days=1))
        # A clock that was set back keeps nobody waiting until it has come as far again.
        if timedelta(0) <= since < timedelta(seconds=LEAST_SECONDS):
            detail = f"{organisation} cosigns more often than every {LEAST_SECONDS} s"
            raise TryLaterError(Reason.TOO_MANY_REQUESTS, detail, LEAST_SECONDS)
        found = [each for each in self._rounds if each.checkpoint.size == size]
        if not found:
            raise SafeRoomError(Reason.CONFLICT, f"size {size} is not to be cosigned any more")
        cosigned = found[0]
        others = {name: each for name, each in cosigned.words.items() if name != organisation}
        # Step 2: it is by the key that it names, dated now, and nobody else's.
        time = word.key.verify(_line(cosigned.note, word.line), cosigned.checkpoint)
        if abs(time - now.timestamp()) > MOST_AHEAD_SECONDS:
            rule = f"is dated {time}: set the witness's clock"
            fault = FieldFault("line", rule)
            raise SafeRoomError(Reason.MALFORMED, f"{organisation}'s cosignature {rule}", [fault])
        if word.key.public in {each.key.public for each in others.values()}:
            raise SafeRoomError(Reason.CONFLICT, "another organisation's witness has this key")
        if word.key.name == cosigned.checkpoint.origin:
            raise SafeRoomError(Reason.CONFLICT, "a witness has another name than the log")
        self._require_nobody_elses(organisation, word.key)
        if len(others) >= MAX_SIGNATURES - len(Note.parse(cosigned.note).signatures):
            raise SafeRoomError(Reason.CONFLICT, f"{len(others)} witnesses have cosigned this one")
        # Step 3: kept, and shown from now on.
        self._came[organisation] = now
        cosigned.words = {**cosigned.words, organisation: word}
        async with self._writing:
            await asyncio.to_thread(replace_file, self._path, self._document())

    def _require_nobody_elses(self, organisation: str, key: CosignerKey) -> None:
        """Refuse a key that readers would take for another's: its line would spoil their notes.

        A reader finds lines by name and four bytes of a hash: 2^32 keys are soon made.
        """
        for each in self._rounds:
            for other, word in each.words.items():
                alike = (word.key.name, word.key.key_id) == (key.name, key.key_id)
                if alike and word.key != key and other != organisation:
                    detail = "another organisation's witness has this name and id"
                    raise SafeRoomError(Reason.CONFLICT, detail)

    def notes(self) -> tuple[str, ...]:
        """Give what was cosigned, the newest first, as far as newer notes do not say as much."""
        return tuple(each.cosigned for each in self._shown())

    def newest(self, policy: WitnessPolicy | None) -> str:
        """Give the newest note that enough of a policy's witnesses cosigned; empty if none is."""
        if policy is None:
            return ""
        return next((each.cosigned for each in self._shown() if self._meets(each, policy)), "")

    def ages(self) -> Mapping[str, float]:
        """Tell how many seconds ago each organisation's witness last cosigned, since the start."""
        now = self._clock()
        return {name: (now - came).total_seconds() for name, came in self._came.items()}

    def published(self) -> str:
        """Give the head for everybody (any thread): cosigned, unless the witnesses stay behind."""
        tip = self._ledger.tip()
        shown = self._shown()
        if not shown:
            return tip.note
        most = max(shown, key=lambda each: len(each.words))
        if most.checkpoint.size < tip.size and self._clock() - most.began > MOST_BEHIND:
            return tip.note
        return most.cosigned

    def _meets(self, cosigned: Round, policy: WitnessPolicy) -> bool:
        known = (policy, note := cosigned.cosigned)
        if known not in self._met:
            if len(self._met) >= MOST_ROUNDS * MOST_POLICIES:
                self._met.clear()
            try:
                policy.counted(cosigned.checkpoint, note)
                self._met[known] = True
            except SafeRoomError:
                self._met[known] = False
        return self._met[known]

    def _kept(self) -> list[Round]:
        try:
            kept = _Kept.model_validate_json(self._path.read_bytes())
            return [self._restored(each) for each in kept.rounds]
        except (OSError, ValidationError, SafeRoomError):
            return []  # none yet, or none that can be read: witnesses cosign again

    def _restored(self, kept: _KeptRound) -> Round:
        words = {
            organisation: Cosignature(CosignerKey.parse(word.key), word.line)
            for organisation, word in kept.words.items()
        }
        checkpoint = Checkpoint.parse(Note.parse(kept.note).text)
        return Round(kept.note, checkpoint, self._clock(), words)

    def _shown(self) -> Sequence[Round]:
        shown: list[Round] = []
        for each in reversed(self._rounds):
            keys = {word.key for word in each.words.values()}
            if keys and not any(
                keys <= {word.key for word in newer.words.values()} for newer in shown
            ):
                shown.append(each)
        return shown

    def _document(self) -> bytes:
        rounds = tuple(
            _KeptRound(
                note=each.note,
                words={
                    organisation: _KeptWord(key=word.key.text, line=word.line)
                    for organisation, word in each.words.items()
                },
            )
            for each in self._rounds
            if each.words
        )
        return _Kept(rounds=rounds).model_dump_json().encode()

    def _require_holds(self, checkpoint: Checkpoint) -> None:
        tip = self._ledger.tip()
        if checkpoint.size <= tip.size and self._ledger.root(checkpoint.size) == checkpoint.root:
            return
        detail = (
            f"{self._path}: witnesses cosigned a log of {checkpoint.size} entries, and the"
            f" {tip.size} here do not begin with them: this is an older copy, or another log"
        )
        raise SafeRoomError(Reason.BAD_PROOF, detail)


def _line(note: str, line: str) -> NoteSignature:
    """Read one signature line, and nothing beside it."""
    before, after = Note.parse(note).signatures, Note.parse(note + line).signatures
    if len(after) != len(before) + 1:
        raise SafeRoomError(Reason.MALFORMED, "a cosignature is one line of a note")
    return after[-1]
