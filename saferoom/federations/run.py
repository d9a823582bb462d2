"""One federated training under way: who has sent what, and when a step ends.

The room adds up and passes on; what it could gain by lying, every bank looks for itself
(`saferoom_models.horizontal`). What came is kept, in order, so that a room that was killed goes on
where it was. A step that lacks a bank's message waits for it as long as the proposal says; the very
first, before anything was sent, waits for everyone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from saferoom.undisturbed import Undisturbed
from saferoom_models.horizontal.aggregator import Aggregator
from saferoom_models.horizontal.messages import Kind, largest_message, read_place
from saferoom_models.horizontal.terms import Terms, agreed_terms
from saferoom_models.refusals import JointTrainingError
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import FederationJoin, FederationProposal

_MESSAGE: Final = b"m"
_CLOSED: Final = b"c"
ENDED: Final = b"e"
"""Begins what is written down last, where a training ended before its end."""

Keep = Callable[[bytes], Awaitable[None]]
"""Writes down what happened, durably."""


class EndedError(SafeRoomError):
    """The training ended before its end; the detail says why."""

    def __init__(self, why: str) -> None:
        super().__init__(Reason.CONFLICT, why, [FieldFault("federation", why)])


@dataclass(frozen=True, slots=True)
class RunProgress:
    """How far a training is.

    Attributes:
        rounds: that were summed.
        missing: whose message is due.
        over: whether it came to its end.
        ended: why it ended before; empty if it did not.
    """

    rounds: int
    missing: tuple[str, ...]
    over: bool
    ended: str


def terms_of(
    federation: str, proposal: FederationProposal, joins: Iterable[FederationJoin]
) -> Terms:
    """Give the terms that follow from a proposal and its joins, the same at every bank.

    Raises:
        SafeRoomError: `MALFORMED` for terms that no training may follow.
    """
    with _refusing("proposal"):
        return agreed_terms(
            federation.partition(":")[2],
            {join.institution: join.key for join in joins},
            [(column.name, float(column.low), float(column.high)) for column in proposal.columns],
            inverse_ridge=float(proposal.inverse_ridge),
            rounds=proposal.rounds,
            fewest_own_rows=proposal.fewest_rows,
        )


class FederationRun:
    """Takes messages and gives answers. Used in one event loop; sums are made in threads."""

    def __init__(self, terms: Terms, wait_seconds: float, keep: Keep) -> None:
        self.largest: Final = largest_message(terms)
        """How long a message can be."""
        self._aggregator: Final = Aggregator(terms)
        self._wait_seconds: Final = wait_seconds
        self._keep: Final = keep
        self._unkept: Final[list[bytes]] = []
        """What happened and could not be written down yet: it comes before all that follows."""
        self._changed: Final = asyncio.Condition()
        self._taking: Final = Undisturbed()
        self._last: tuple[int, Kind] = (-1, Kind.OPENED)
        """The step that was closed last."""
        self._ended = ""
        self._timer: asyncio.Task[None] | None = None
        self.progress = RunProgress(0, self._aggregator.missing, over=False, ended="")
        """How far it is."""

    def _note(self) -> None:
        """Note how far it is, between two steps of the machine: threads change it meanwhile."""
        over, ended = self._aggregator.over, self._ended
        missing = () if over or ended else self._aggregator.missing
        self.progress = RunProgress(self._aggregator.round, missing, over, ended)

    def replay(self, happened: Iterable[bytes]) -> None:
        """Take up what was written down.

        Raises:
            SafeRoomError: `STORE_DAMAGED` if it cannot have been.
        """
        try:
            for each in happened:
                what, rest = each[:1], each[1:]
                if what == _MESSAGE:
                    self._aggregator.take(rest)
                elif what == _CLOSED:
                    self._close()
                else:
                    self._ended = rest.decode()
        except JointTrainingError as error:
            detail = "what was kept of a federated training does not fit together"
            raise SafeRoomError(Reason.STORE_DAMAGED, detail) from error
        self._note()

    async def answer(self, name: str, message: bytes) -> bytes:
        """Take a bank's message, and give the answer once the step has ended and is written down.

        Raises:
            EndedError: the training ended before.
            SafeRoomError: `MALFORMED` for a message that is not the bank's or not due.
        """
        with _refusing():
            step = read_place(message)
        # Whoever leaves meanwhile leaves nothing half taken.
        await self._taking.run(self._taken(name, message, step))
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self._ended) or step <= self._last)
        await self._taking.run(self._written())
        async with self._changed:
            if step != self._last:
                self._require_going()
                raise EndedError(f"LEFT_OUT: the others went on without {name}")
            with _refusing():
                return self._aggregator.answer(name)

    async def end(self, why: str) -> None:
        """End it before its end, unless it came to that."""
        async with self._changed:
            if not self._aggregator.over and not self._ended:
                self._end(why)
        await self._taking.run(self._written())

    async def stop(self, seconds: float) -> None:
        """Wait for no bank any more; what came is kept."""
        if self._timer is not None:
            self._timer.cancel()
            await asyncio.wait([self._timer], timeout=seconds)
        await self._taking.drain(seconds)

    def _require_going(self) -> None:
        if self._ended:
            raise EndedError(self._ended)

    async def _taken(self, name: str, message: bytes, step: tuple[int, Kind]) -> None:
        async with self._changed:
            if self._last < step:  # the answer to the last step is given after the end, too
                self._require_going()
                await self._take(name, message)

    async def _take(self, name: str, message: bytes) -> None:
        before = self._aggregator.missing
        with _refusing():
            await asyncio.to_thread(self._aggregator.take_from, name, message)
        if name in before:
            self._unkept.append(_MESSAGE + message)
        await self._write()
        self._note()
        if self._aggregator.ready:
            await self._end_step()
        elif self._timer is None and (self._aggregator.round, self._aggregator.kind) > (
            0,
            Kind.KEYS,
        ):
            self._timer = asyncio.create_task(self._out_of_time(), name="federation step")

    async def _out_of_time(self) -> None:
        await asyncio.sleep(self._wait_seconds)
        async with self._changed:
            self._timer = None  # not to be cancelled by the step that it ends
            if not self._ended:
                await self._end_step()

    async def _end_step(self) -> None:
        """Close the step with what came; or end it all, where that is not enough."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        try:
            await asyncio.to_thread(self._close)
        except JointTrainingError as error:
            self._end(f"{error.reason}: {error.detail}")
        else:
            self._unkept.append(_CLOSED)
            self._tell()
        await self._write()

    async def _written(self) -> None:
        async with self._changed:
            await self._write()

    async def _write(self) -> None:
        """Write down what happened; what could not be is tried again by whoever comes next."""
        while self._unkept:
            await self._keep(self._unkept[0])
            self._unkept.pop(0)

    def _close(self) -> None:
        step = self._aggregator.round, self._aggregator.kind
        self._aggregator.close()
        self._last = step

    def _end(self, why: str) -> None:
        self._ended = why
        self._unkept.append(ENDED + why.encode())
        self._tell()

    def _tell(self) -> None:
        """Wake whoever waits; each sees to it that it is written down before it is answered.

        So one that cannot write keeps nobody waiting, and none learns what a killed room forgot.
        """
        self._note()
        self._changed.notify_all()


@contextmanager
def _refusing(place: str = "message") -> Generator[None]:
    """Turn a refusal of the machine into one of the room's, told to the bank that sent it."""
    try:
        yield
    except JointTrainingError as error:
        rule = f"{error.reason}: {error.detail}"
        raise SafeRoomError(Reason.MALFORMED, rule, [FieldFault(place, rule)]) from error
