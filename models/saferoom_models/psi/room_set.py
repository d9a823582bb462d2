"""The room's side of an alignment. It learns the intersection first, and may keep it to itself.

What it sees: how many customers the label side has, and which of its own subjects are among them.
Never: who the others are. What it sends before `release` tells the label side nothing but a number.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor

import numpy as np

from saferoom_models.psi import messages, points
from saferoom_models.psi.kept import identifiers_digest, read_same
from saferoom_models.psi.messages import AlignmentKind
from saferoom_models.psi.terms import AlignmentTerms, check_identifiers
from saferoom_models.refusals import JointTrainingError, Refusal
from saferoom_models.vertical import saved
from saferoom_models.vertical.scheme import Entropy


class RoomSet:
    """Answers: `answer`, then `learn`; and `release` once the intersection was judged."""

    def __init__(
        self,
        terms: AlignmentTerms,
        identifiers: Sequence[str],
        commitment: str,
        entropy: Entropy,
        executor: Executor | None = None,
    ) -> None:
        """Take up the subjects of a job that has not begun.

        Args:
            terms: of the alignment.
            identifiers: those that an approved rule selects.
            commitment: what the label side signed of its set (`messages.commitment`).
            entropy: gives random bytes; `os.urandom`.
            executor: shares out the arithmetic; none does it here.

        Raises:
            JointTrainingError: `BAD_IDENTIFIERS`.
        """
        check_identifiers(identifiers, terms.room_most)
        self._terms, self._identifiers, self._executor = terms, identifiers, executor
        self._commitment = commitment
        self._secret = entropy(points.POINT_BYTES)
        self._order: list[int] = []
        self._candidates = b""
        self._theirs: list[bytes] = []
        """The label side's points, multiplied by the own secret, in its order."""
        self._pairs: list[tuple[int, int]] | None = None
        """Of each common subject: place among the own identifiers, and among the other's points."""

    def answer(self, message: bytes) -> bytes:
        """Answer the label side's blinded points with the own; again with the same bytes.

        Raises:
            JointTrainingError: what is wrong with the message; `OTHER_SET` where it is not what
                the label side committed to.
        """
        if messages.commitment(message) != self._commitment:
            raise JointTrainingError(Refusal.OTHER_SET, "not the set that was committed to")
        if self._candidates:
            return self._candidates
        theirs = messages.read_points(message, self._terms, AlignmentKind.BLINDED)
        self._theirs = points.multiply(self._secret, theirs, self._executor)
        job = bytes.fromhex(self._terms.job)
        blinded = points.blind(self._secret, job, self._identifiers, self._executor)
        self._order = sorted(range(len(blinded)), key=blinded.__getitem__)
        self._candidates = messages.write(
            self._terms, AlignmentKind.CANDIDATES, [blinded[place] for place in self._order]
        )
        return self._candidates

    def learn(self, message: bytes) -> list[int]:
        """Take the own points back, doubly blinded, and say which subjects are common.

        Nothing is told to the label side by this: its rows follow from `release` alone.

        Returns:
            Places among the own identifiers, in the order of both sides' rows.

        Raises:
            JointTrainingError: what is wrong with the message.
        """
        if not self._candidates:
            raise JointTrainingError(Refusal.OUT_OF_ORDER, "nothing was sent to be blinded")
        doubled = messages.read_points(message, self._terms, AlignmentKind.DOUBLED)
        if len(doubled) != len(self._order):
            raise JointTrainingError(Refusal.WRONG_SIZE, "not as many points as were sent")
        if self._pairs is None:
            known = {point: place for place, point in enumerate(self._theirs)}
            # By the doubly blinded points: an order that neither side chose.
            common = sorted((point, at) for at, point in enumerate(doubled) if point in known)
            self._pairs = [(self._order[at], known[point]) for point, at in common]
        return [own for own, _ in self._pairs]

    def release(self, kept: Sequence[int] | None = None) -> bytes:
        """Give what lets the label side know its rows; only after the intersection was judged.

        Args:
            kept: places among what `learn` gave, ascending: whom other owners hold too; by default
                all of it.

        Raises:
            JointTrainingError: `OUT_OF_ORDER`; `NO_SUPPORT` where there is no common subject.
        """
        if self._pairs is None:
            raise JointTrainingError(Refusal.OUT_OF_ORDER, "the intersection is not known")
        pairs = self._pairs if kept is None else [self._pairs[place] for place in kept]
        if not pairs:
            raise JointTrainingError(Refusal.NO_SUPPORT, "the sides have no subject in common")
        return messages.write_places(self._terms, [theirs for _, theirs in pairs])

    def save(self) -> bytes:
        """Give the state, the secret in it; take it before an answer is sent."""
        return saved.write_state(
            {
                "order": np.array(self._order, np.int64),
                "learned": np.array([self._pairs is not None], np.int64),
                "pairs": np.array(self._pairs or [], np.int64).reshape(-1, 2),
            },
            {
                "job": bytes.fromhex(self._terms.job),
                "identifiers": identifiers_digest(self._identifiers),
                "commitment": bytes.fromhex(self._commitment),
                "secret": self._secret,
                "candidates": self._candidates,
                "theirs": b"".join(self._theirs),
            },
        )

    @classmethod
    def resume(
        cls,
        terms: AlignmentTerms,
        identifiers: Sequence[str],
        state: bytes,
        executor: Executor | None = None,
    ) -> RoomSet:
        """Take up a saved state with the same terms and identifiers.

        Raises:
            JointTrainingError: `BAD_STATE`, and what the constructor refuses.
        """
        found = read_same(state, terms, identifiers)
        commitment, secret = found.data("commitment").hex(), found.data("secret")
        side = cls(terms, identifiers, commitment, lambda _: secret, executor)
        side._order = found.integers("order").tolist()
        side._candidates = found.data("candidates")
        side._theirs = points.split(found.data("theirs"))
        if found.number("learned"):
            side._pairs = [(int(own), int(other)) for own, other in found.integers("pairs")]
        return side
