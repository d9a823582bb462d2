"""The label side of an alignment: the bank, with its customers.

It asks, the room answers. What it sees: how many subjects the room brought, and, when the room has
judged the intersection and lets it know, which of its own are in it. Never: who else the room has.
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


class LabelSet:
    """Asks through an alignment, from `begin` to a last answer after which `over` holds."""

    def __init__(
        self,
        terms: AlignmentTerms,
        identifiers: Sequence[str],
        entropy: Entropy,
        executor: Executor | None = None,
    ) -> None:
        """Take up the customers of a job that has not begun.

        Args:
            terms: of the alignment.
            identifiers: as many as agreed, in the form that the room writes them in.
            entropy: gives random bytes; `os.urandom`.
            executor: shares out the arithmetic; none does it here.

        Raises:
            JointTrainingError: `BAD_IDENTIFIERS`.
        """
        check_identifiers(identifiers, terms.label_items)
        if len(identifiers) != terms.label_items:
            raise JointTrainingError(Refusal.BAD_IDENTIFIERS, "not as many subjects as agreed")
        self._terms, self._identifiers, self._executor = terms, identifiers, executor
        self._secret = entropy(points.POINT_BYTES)
        self._order: list[int] = []
        """Which own identifier stands behind each blinded point."""
        self._aligned: list[int] | None = None
        self.waiting = b""
        """The message that waits for its answer; it can be sent again as it is."""

    @property
    def over(self) -> bool:
        """Whether the alignment has ended."""
        return self._aligned is not None

    @property
    def aligned(self) -> list[int]:
        """The common subjects: places among the own identifiers, in the order of both sides' rows.

        Raises:
            JointTrainingError: `NOT_FINISHED`.
        """
        if self._aligned is None:
            raise JointTrainingError(Refusal.NOT_FINISHED, "the room has not told the intersection")
        return self._aligned

    def begin(self) -> bytes:
        """Give the blinded identifiers; `messages.commitment` of them is what may be signed.

        Raises:
            JointTrainingError: `OUT_OF_ORDER`.
        """
        if self.waiting or self.over:
            raise JointTrainingError(Refusal.OUT_OF_ORDER, "the alignment has begun")
        job = bytes.fromhex(self._terms.job)
        blinded = points.blind(self._secret, job, self._identifiers, self._executor)
        self._order = sorted(range(len(blinded)), key=blinded.__getitem__)
        self.waiting = messages.write(
            self._terms, AlignmentKind.BLINDED, [blinded[place] for place in self._order]
        )
        return self.waiting

    def answer(self, message: bytes) -> bytes | None:
        """Take the room's answer to what waits, and give the next message; None when all is over.

        A refused message changes nothing: the right one may still come.

        Raises:
            JointTrainingError: what is wrong with it.
        """
        if self.over or not self.waiting:
            raise JointTrainingError(Refusal.OUT_OF_ORDER, "nothing was asked, or all is over")
        if messages.kind_of(self.waiting) is AlignmentKind.BLINDED:
            candidates = messages.read_points(message, self._terms, AlignmentKind.CANDIDATES)
            doubled = points.multiply(self._secret, candidates, self._executor)
            # In the room's order: by it the room knows its own subjects again.
            self.waiting = messages.write(self._terms, AlignmentKind.DOUBLED, doubled)
            return self.waiting
        places = messages.read_places(message, self._terms)
        self._aligned = [self._order[place] for place in places]
        self.waiting = b""
        return None

    def save(self) -> bytes:
        """Give the state, the secret in it; take it before `waiting` is sent."""
        return saved.write_state(
            {
                "order": np.array(self._order, np.int64),
                "over": np.array([self.over], np.int64),
                "aligned": np.array(self._aligned or [], np.int64),
            },
            {
                "job": bytes.fromhex(self._terms.job),
                "identifiers": identifiers_digest(self._identifiers),
                "secret": self._secret,
                "waiting": self.waiting,
            },
        )

    @classmethod
    def resume(
        cls,
        terms: AlignmentTerms,
        identifiers: Sequence[str],
        state: bytes,
        executor: Executor | None = None,
    ) -> LabelSet:
        """Take up a saved state with the same terms and identifiers.

        Raises:
            JointTrainingError: `BAD_STATE`, and what the constructor refuses.
        """
        found = read_same(state, terms, identifiers)
        side = cls(terms, identifiers, lambda _: found.data("secret"), executor)
        side._order = found.integers("order").tolist()
        side._aligned = found.integers("aligned").tolist() if found.number("over") else None
        side.waiting = found.data("waiting")
        return side
