"""Whether the room's log, as it is shown here, is the one that the charter's witnesses cosign.

A server that keeps a log of its own for this enclave, or stops its log for it at an old size, so as
to withhold a revocation, gets no fresh cosignatures for what it shows: witnesses cosign one log,
and only the largest tree they have seen of it. So a checkpoint that enough of them cosigned lately
must be a beginning of what the heads stand on. A beginning alone is little: every log begins with
an old one, and a server that shows witnesses nothing newer has that cosigned for ever. So they must
also have seen, within the same age, whatever the enclave goes by. Statements are taken without all
this, as what they restrict must not wait; answers are not given.

How old the witnesses' word is counts on the enclave's clock, which the boot clock carries on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from saferoom_enclaves.clock import EnclaveClock
from saferoom_enclaves.marks import SeenLedger
from saferoom_proto.checkpoint import Checkpoint, open_checkpoint
from saferoom_proto.keys import VerifyKey
from saferoom_proto.merkle import verify_consistency
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Charter
from saferoom_proto.statements.base import whole_milliseconds
from saferoom_proto.statements.witnesses import Witnessed, WitnessPolicy
from saferoom_proto.suite import Suite

_STEPS: Final = 64
"""Heads within so small a part of the allowed age count as one, as of the first of them."""


@dataclass(frozen=True, slots=True)
class Word:
    """By when as many witnesses as a policy asks for had cosigned what heads stand on."""

    policy: WitnessPolicy
    time: int


@dataclass(frozen=True, slots=True)
class Unseen:
    """Since when the enclave goes by a log of that size, which the witnesses may not have seen."""

    since: datetime
    size: int


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the witnesses, once a delivery is taken.

    Attributes:
        word: the newest of enough of them.
        seen: the most entries that enough of them are known to have seen.
        unseen: the heads beyond, the oldest first.
    """

    word: Word | None = None
    seen: int = 0
    unseen: tuple[Unseen, ...] = ()

    def with_word(self, word: Word, size: int) -> Known:
        """Know that enough of them cosigned so many entries."""
        known = self.word
        newer = known is None or known.policy != word.policy or known.time < word.time
        unseen = tuple(each for each in self.unseen if each.size > size)
        return Known(word if newer else known, max(self.seen, size), unseen)

    def with_head(self, head: Unseen, apart: timedelta) -> Known:
        """Go by a head; those that are less apart, or too many, count as the first of them."""
        newest = self.unseen[-1] if self.unseen else None
        if head.size <= (self.seen if newest is None else newest.size):
            return self
        if newest is None:
            return replace(self, unseen=(head,))
        if head.since - newest.since >= apart and len(self.unseen) <= _STEPS:
            return replace(self, unseen=(*self.unseen, head))
        return replace(self, unseen=(*self.unseen[:-1], Unseen(newest.since, head.size)))

    @property
    def unseen_since(self) -> datetime | None:
        """Since when the enclave goes by more than the witnesses are known to have seen."""
        return self.unseen[0].since if self.unseen else None


class Witnesses:
    """Knows how old the witnesses' newest word is, and what they have not seen yet.

    No word is known after a start. What had not been seen is, lest a server start an enclave anew
    and anew.

    Args:
        clock: the enclave's.
        ledger: the newest checkpoint that the enclave accepted before.
    """

    def __init__(self, clock: EnclaveClock, ledger: SeenLedger | None) -> None:
        self._clock: Final = clock
        since = None if ledger is None else ledger.unseen_since
        before = () if ledger is None or since is None else (Unseen(since, ledger.size),)
        self._known = Known(unseen=before)

    def check(
        self, charter: Charter, head: Checkpoint, cosigned: str, consistency: Sequence[bytes]
    ) -> Known:
        """Check what comes with a head; gives what is known with it.

        Args:
            charter: in force once the delivery is taken.
            head: what the delivery's head stands on.
            cosigned: the note with the witnesses' lines; may be empty.
            consistency: from its checkpoint to the head's.

        Raises:
            SafeRoomError: `BAD_SIGNATURE` or `BAD_PROOF`: the head is not of the log that was
                cosigned.
        """
        policy = charter.witnesses
        if policy is None:
            return Known()
        now = self._clock.now()
        known = self._known
        if cosigned:
            key = VerifyKey.from_public(charter.room_keys.ledger)
            witnessed = _counted(
                policy, open_checkpoint(cosigned, charter.room, key), cosigned, now
            )
            if witnessed is not None:
                begun = witnessed.checkpoint
                _require_begins(head, begun, consistency, key.suite)
                known = known.with_word(Word(policy, witnessed.time), begun.size)
        apart = timedelta(seconds=policy.max_age_seconds) / _STEPS
        return known.with_head(Unseen(whole_milliseconds(now), head.size), apart)

    def accept(self, known: Known) -> None:
        """Go by what is known with a delivery that was taken."""
        self._known = known

    def require(self, policy: WitnessPolicy | None, now: datetime) -> None:
        """Refuse with `NOT_WITNESSED` unless enough witnesses gave their word lately.

        Args:
            policy: the charter's; none asks for nothing.
            now: by the enclave's clock.
        """
        if policy is None:
            return
        word, since = self._known.word, self._known.unseen_since
        if word is None or word.policy != policy:
            raise SafeRoomError(Reason.NOT_WITNESSED, "no word of the charter's witnesses yet")
        policy.require_young(word.time, int(now.timestamp()))
        if since is not None and now - since > timedelta(seconds=policy.max_age_seconds):
            behind = int((now - since).total_seconds())
            detail = f"the witnesses have not seen what the log grew by {behind} s ago"
            raise SafeRoomError(Reason.NOT_WITNESSED, detail)


def _counted(
    policy: WitnessPolicy, checkpoint: Checkpoint, note: str, now: datetime
) -> Witnessed | None:
    try:
        return policy.counted(checkpoint, note, int(now.timestamp()))
    except SafeRoomError as error:
        if error.reason is Reason.NOT_WITNESSED:
            return None  # too few: the delivery is taken as if none had come
        raise


def _require_begins(
    head: Checkpoint, begun: Checkpoint, consistency: Sequence[bytes], suite: Suite
) -> None:
    if begun.size:
        sizes, roots = (begun.size, head.size), (begun.root, head.root)
        verify_consistency(*sizes, consistency, *roots, suite=suite)
