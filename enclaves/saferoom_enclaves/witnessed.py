"""Whether the room's log, as it is shown here, is the one that the charter's witnesses cosign.

A server that keeps a log of its own for this enclave, or stops its log for it at an old size, so as
to withhold a revocation, gets no fresh cosignatures for what it shows: witnesses cosign one log,
and only the largest tree they have seen of it. So a checkpoint that enough of them cosigned lately
must be a beginning of what the heads stand on. Statements are taken without it, as what they
restrict must not wait; answers are not given.

How old the witnesses' word is counts on the enclave's clock, which the boot clock carries on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from saferoom_enclaves.clock import EnclaveClock
from saferoom_proto.checkpoint import Checkpoint, open_checkpoint
from saferoom_proto.keys import VerifyKey
from saferoom_proto.merkle import verify_consistency
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Charter
from saferoom_proto.statements.witnesses import WitnessPolicy


@dataclass(frozen=True, slots=True)
class Word:
    """By when as many witnesses as a policy asks for had cosigned what heads stand on."""

    policy: WitnessPolicy
    time: int


class Witnesses:
    """Knows how old the witnesses' newest word is; none is known after a start.

    Args:
        clock: the enclave's.
    """

    def __init__(self, clock: EnclaveClock) -> None:
        self._clock: Final = clock
        self._word: Word | None = None

    def check(
        self, charter: Charter, head: Checkpoint, cosigned: str, consistency: Sequence[bytes]
    ) -> Word | None:
        """Check what comes with a head; gives the witnesses' word, if enough gave it.

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
        if policy is None or not cosigned:
            return None
        key = VerifyKey.from_public(charter.room_keys.ledger)
        checkpoint = open_checkpoint(cosigned, charter.room, key)
        try:
            witnessed = policy.counted(checkpoint, cosigned, _seconds(self._clock.now()))
        except SafeRoomError as error:
            if error.reason is Reason.NOT_WITNESSED:
                return None  # too few: the delivery is taken as if none had come
            raise
        if checkpoint.size:
            sizes, roots = (checkpoint.size, head.size), (checkpoint.root, head.root)
            verify_consistency(*sizes, consistency, *roots, suite=key.suite)
        return Word(policy, witnessed.time)

    def accept(self, word: Word | None) -> None:
        """Go by a word from now on, if it is newer."""
        if word is None:
            return
        known = self._word
        if known is None or known.policy != word.policy or known.time < word.time:
            self._word = word

    def require(self, policy: WitnessPolicy | None, now: datetime) -> None:
        """Refuse with `NOT_WITNESSED` unless enough witnesses gave their word lately.

        Args:
            policy: the charter's; none asks for nothing.
            now: by the enclave's clock.
        """
        if policy is None:
            return
        if self._word is None or self._word.policy != policy:
            raise SafeRoomError(Reason.NOT_WITNESSED, "no word of the charter's witnesses yet")
        policy.require_young(self._word.time, _seconds(now))


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
