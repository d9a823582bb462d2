"""Has what a question needs fetched before it is judged; the question waits for it a moment only.

Two questions that need the same record have it fetched once. A question whose record takes longer
is told so (`SOURCE_PENDING`), and judged once the record is there, whether it is asked again or
not: else a record could be fetched and no chain say for whom. Asked again, it finds its answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, TypeVar, TypeVarTuple

from saferoom_enclaves.fetched.broker import Broker, Outcome
from saferoom_enclaves.fetched.kept import UNUSABLE
from saferoom_enclaves.fetched.wanting import Needed
from saferoom_enclaves.logs import Log, places
from saferoom_enclaves.worker import Worker
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError

PATIENCE_SECONDS: Final = 2.0
"""How long a question that came alone waits: a step, and a slow provider's second."""
STEP_SECONDS: Final = 1.0
"""A record is there a whole number of these after it was asked for. A child takes some tenths of
one, and longer for a large record: by the clock an asker sees the steps, and not the size."""
MOST_UNDER_WAY: Final = 64
"""Records at a time, of 1 MiB at most each; for more there is `SOURCE_UNAVAILABLE`."""
ALONE_SECONDS: Final = 30.0
"""How long a source is not asked about a subject anew, after it failed for it."""
_MOST_ALONE: Final = 10_000
_THREADS: Final = 4
"""Waiting for children: loads and disclosures have threads of their own."""

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Fetching:
    """Fetches what questions need. Used in one event loop.

    Args:
        worker: has the enclave do one thing at a time.
        broker: asks providers.
        log: the operator's.
        step_seconds: a record is there a whole number of steps after it was asked for.
    """

    def __init__(
        self, worker: Worker, broker: Broker, log: Log, step_seconds: float = STEP_SECONDS
    ) -> None:
        self._worker: Final = worker
        self._broker: Final = broker
        self._log: Final = log
        self._step_seconds: Final = step_seconds
        self._pool: Final = ThreadPoolExecutor(_THREADS, "sources")
        self._under_way: Final[dict[tuple[str, str], asyncio.Task[None]]] = {}
        self._followed: Final[dict[str, asyncio.Task[None]]] = {}
        """What judges a question once its records are there, by its digest."""
        self._failed: Final[dict[tuple[str, str], float]] = {}
        """Until when a source is not asked about a subject; the soonest first."""

    async def prepare(self, question: Envelope, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """Have fetched what a question needs, and wait a moment for it; judging finds the rest."""
        if not self._worker.asks_sources:
            return
        awaited = await self._awaited(question)
        if awaited:
            await asyncio.wait(awaited, timeout=patience_seconds)

    async def _awaited(self, question: Envelope) -> list[asyncio.Task[None]]:
        """Give what a question waits for, having begun what nobody began."""
        followed = self._followed.get(question.digest)
        if followed is not None:
            return [followed]
        wanted = await self._worker.run(lambda own: own.wanted(question))
        begun = [each for each in wanted if self._may_begin(each)][: self._places_left]
        for each in begun:
            self._begin(each, question)
        tasks = [self._under_way[each.place] for each in wanted if each.place in self._under_way]
        if not begun:
            return tasks
        followed = asyncio.create_task(self._judged(question, tasks))
        self._followed[question.digest] = followed
        followed.add_done_callback(lambda _: self._followed.pop(question.digest, None))
        # Submitted before any of these tasks runs: so it comes before they settle.
        await self._worker.run(lambda own: own.fetched.begun(begun))
        return [followed]

    @property
    def _places_left(self) -> int:
        return max(MOST_UNDER_WAY - len(self._under_way), 0)

    def _may_begin(self, wanted: Needed) -> bool:
        now = asyncio.get_running_loop().time()
        while self._failed and next(iter(self._failed.values())) <= now:
            del self._failed[next(iter(self._failed))]
        return wanted.place not in self._under_way and wanted.place not in self._failed

    def _begin(self, wanted: Needed, question: Envelope) -> None:
        task = asyncio.create_task(self._fetched(wanted, question))
        self._under_way[wanted.place] = task
        task.add_done_callback(lambda _: self._under_way.pop(wanted.place))

    async def _judged(self, question: Envelope, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Judge a question once its records are there; what cannot be judged may be asked again."""
        await asyncio.wait(tasks)
        with suppress(SafeRoomError):
            await self._worker.judge(question)

    async def _fetched(self, wanted: Needed, question: Envelope) -> None:
        try:
            await self._through(wanted, question)
        except SafeRoomError as error:
            # Whose record it was is for nobody's log.
            told = {"source": wanted.recipe.source.name, "reason": str(error.reason)}
            self._log.warning("not fetched", detail=error.detail, **told)
        except Exception as error:  # noqa: BLE001 - the question is told, and asked again
            self._log.error("failed", places=places(error))
        finally:
            with suppress(SafeRoomError):  # at the enclave's end there is nothing to note
                await self._worker.run(lambda own: own.fetched.settled(wanted))

    async def _through(self, wanted: Needed, question: Envelope) -> None:
        records = await self._worker.run(lambda own: own.fetched)
        recipe = wanted.recipe
        # Step 1: there are features to compute; else nothing is asked for.
        sound = await self._beside(records.tried, recipe)
        await self._worker.run(lambda _: records.note(recipe, sound))
        if not wanted.names & sound:
            return
        # Step 2: what the provider says, unless it said so in this period.
        began = asyncio.get_running_loop().time()
        answer = kept = await self._worker.run(lambda _: records.kept(wanted))
        if answer is None:
            # A consent may be gone, or use paused, since it was let through.
            still = await self._worker.run(lambda own: own.wanted(question))
            if wanted.place not in {each.place for each in still}:
                return
            answer = await self._asked(wanted)
            if answer == UNUSABLE:
                records.unusable(wanted)
        # Step 3: cells; and the answer is kept before anything is answered from them.
        index = await self._beside(records.compute, wanted, answer, sound)
        if kept is None:
            lasting = UNUSABLE if index is None else answer
            await self._worker.run(lambda _: records.keep(wanted, lasting))
        # Step 4: at the next step of the clock, whatever the record's size.
        del answer, kept
        took = asyncio.get_running_loop().time() - began
        await asyncio.sleep(-took % self._step_seconds)
        await self._worker.run(lambda _: records.know(wanted, index))

    async def _asked(self, wanted: Needed) -> bytes:
        """Give what a provider says, in the form of `FetchedRecords.keep`.

        Raises:
            SafeRoomError: `SOURCE_UNAVAILABLE`; one that was asked is left alone for a while.
        """
        source = wanted.recipe.source.name
        told = await self._broker.ask(source, wanted.subject)
        if told.outcome is Outcome.UNAVAILABLE:
            if len(self._failed) >= _MOST_ALONE:
                del self._failed[next(iter(self._failed))]
            self._failed[wanted.place] = asyncio.get_running_loop().time() + ALONE_SECONDS
            raise SafeRoomError(Reason.SOURCE_UNAVAILABLE, f"{source}: no answer")
        return UNUSABLE if told.outcome is Outcome.UNUSABLE else told.data

    async def _beside(self, work: Callable[[*Ts], T], *args: *Ts) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *args)
