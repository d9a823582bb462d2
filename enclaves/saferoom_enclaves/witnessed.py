"""Whether the room's log, as it is shown here, is the one that the charter's witnesses cosign.

A server that keeps a log of its own for this enclave, or stops its log for it at an old size, so as
to withhold a revocation, gets no fresh cosignatures for what it shows: witnesses cosign one log,
and only the largest tree they have seen of it. So a checkpoint that enough of them cosigned lately
must be a beginning of what the heads stand on. A beginning alone is little: every log begins with
an old one, and a server that shows witnesses nothing newer has that cosigned for ever. So they must
also have seen, within the same age, whatever the enclave goes by; and, before anything is answered,
what it goes by first after a start or under a charter that names others. Statements are taken
without all this, as what they restrict must not wait; answers are not given.

How old the witnesses' word is counts on the enclave's clock, which the boot clock carries on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from saferoom_enclaves.clock import EnclaveClock
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
class Unseen:
    """Since when the enclave goes by a log of that size, which the witnesses may not have seen."""

    since: datetime
    size: int


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the witnesses of one policy, once a delivery is taken.

    Attributes:
        policy: whose words these are; none if the charter asks for none.
        first: the entries that the enclave went by first under that policy, since its start.
        word: by when enough of them had cosigned what heads stand on, in seconds since 1970.
        seen: the most entries that enough of them are known to have seen.
        unseen: the heads beyond, the oldest first.
    """

    policy: WitnessPolicy | None = None
    first: int = 0
    word: int | None = None
    seen: int = 0
    unseen: tuple[Unseen, ...] = ()

    def with_word(self, time: int, size: int) -> Known:
        """Know that enough of them cosigned so many entries, unless it began with more."""
        if size < self.first:
            return self
        word = time if self.word is None else max(time, self.word)
        unseen = tuple(each for each in self.unseen if each.size > size)
        return replace(self, word=word, seen=max(self.seen, size), unseen=unseen)

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

    Nothing is known after a start, nor under a charter with another policy: what only witnesses
    that were replaced have seen, nobody has.

    Args:
        clock: the enclave's.
    """

    def __init__(self, clock: EnclaveClock) -> None:
        self._clock: Final = clock
        self._known = Known()

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
        if known.policy != policy:
            known = Known(policy, head.size)
        if cosigned:
            key = VerifyKey.from_public(charter.room_keys.ledger)
            witnessed = _counted(
                policy, open_checkpoint(cosigned, charter.room, key), cosigned, now
            )
            if witnessed is not None:
                begun = witnessed.checkpoint
                _require_begins(head, begun, consistency, key.suite)
                known = known.with_word(witnessed.time, begun.size)
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
        known = self._known
        if known.policy != policy or known.word is None:
            detail = f"no word of the charter's witnesses on {known.first} entries yet"
            raise SafeRoomError(Reason.NOT_WITNESSED, detail)
        policy.require_young(known.word, int(now.timestamp()))
        since = known.unseen_since
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
