"""The room's side of a whole training, as a child runs it: rounds, then the rows held out, if any.

What it is of the label side is `participant.Participant`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from saferoom_models.arrays import Floats
from saferoom_models.vertical.columns import prepare
from saferoom_models.vertical.course import Progress, Trained
from saferoom_models.vertical.measuring import Blur, measure, split_rows
from saferoom_models.vertical.room_side import RoomSide
from saferoom_models.vertical.scheme import Entropy
from saferoom_models.vertical.terms import Terms


class RoomTraining:
    """Answers through a training, until `over` holds."""

    def __init__(
        self,
        terms: Terms,
        names: Sequence[str],
        values: Floats,
        entropy: Entropy,
        *,
        blur: Blur | None = None,
        kept: tuple[bytes, bytes] = (b"", b""),
    ) -> None:
        """Take up the columns of a job that has not begun, or goes on.

        Args:
            terms: of the job.
            names: of the columns.
            values: shape (all common rows, columns), those held out among them.
            entropy: gives random bytes for masks; `os.urandom`.
            blur: adds noise to counts of the rows held out, where there are some.
            kept: a state that `save` gave and the opening, of a job that goes on.

        Raises:
            JointTrainingError: what `prepare` and `RoomSide` refuse.
        """
        train, held = split_rows(terms.job, len(values), terms.measured)
        columns = prepare(tuple(names), values[train])
        state, opening = kept
        self._side = (
            RoomSide.resume(terms, columns, entropy, state, opening)
            if state
            else RoomSide(terms, columns, entropy)
        )
        self._terms, self._held, self._entropy, self._blur = terms, values[held], entropy, blur
        self._measured = False

    @property
    def progress(self) -> Progress:
        """How far it is; over once the rows held out are measured, too."""
        found = self._side.progress
        return replace(found, over=found.over and (self._measured or not self._terms.measured))

    def answer(self, message: bytes) -> bytes:
        """Answer the label side's next message; save the state before the answer is sent.

        Raises:
            JointTrainingError: what is wrong with it; it changes nothing then.
        """
        if not self._side.progress.over or self._blur is None:
            return self._side.answer(message)
        points = self._side.trained().points(self._held)
        answer = measure(self._terms, points, message, self._entropy, self._blur)
        self._measured = True
        return answer

    def trained(self) -> Trained:
        """Give the room's part of the model; as `RoomSide.trained`."""
        return self._side.trained()

    def save(self) -> bytes:
        """Give the state but for the opening, which who keeps it keeps apart."""
        return self._side.save(whole=False)
