"""Has what a question needs fetched before it is judged; the question waits for it a moment only.

Two questions that need the same record have it fetched once. A question whose record takes longer
is told so (`SOURCE_PENDING`) and costs nothing; the same question, asked again, finds it there.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from saferoom_enclaves.fetched.broker import Broker
from saferoom_enclaves.fetched.kept import UNUSABLE
from saferoom_enclaves.fetched.wanting import Needed
from saferoom_enclaves.logs import Log, places
from saferoom_enclaves.worker import Worker
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import SafeRoomError

PATIENCE_SECONDS: Final = 0.5
"""How long a question waits: those that came in one call with it wait as long."""


class Fetching:
    """Fetches what questions need. Used in one event loop.

    Args:
        worker: has the enclave do one thing at a time.
        broker: asks providers.
        log: the operator's.
    """

    def __init__(self, worker: Worker, broker: Broker, log: Log) -> None:
        self._worker: Final = worker
        self._broker: Final = broker
        self._log: Final = log
        self._under_way: Final[dict[tuple[str, str], asyncio.Task[None]]] = {}

    async def prepare(self, question: Envelope, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """Have fetched what a question needs, and wait a moment for it; judging finds the rest."""
        if not self._worker.asks_sources:
            return
        wanted = await self._worker.run(lambda own: own.wanted(question))
        tasks = [self._fetch(each, question) for each in wanted]
        if tasks:
            await asyncio.wait(tasks, timeout=patience_seconds)

    def _fetch(self, wanted: Needed, question: Envelope) -> asyncio.Task[None]:
        task = self._under_way.get(wanted.place)
        if task is None:
            task = asyncio.create_task(self._fetched(wanted, question))
            self._under_way[wanted.place] = task
            task.add_done_callback(lambda _: self._under_way.pop(wanted.place))
        return task

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
        sound = await asyncio.to_thread(records.tried, recipe)
        await self._worker.run(lambda _: records.note(recipe, sound))
        if not wanted.names & sound:
            return
        # Step 2: what the provider says, unless it said so in this period.
        answer = kept = await self._worker.run(lambda _: records.kept(wanted))
        if answer is None:
            # A consent may be gone, or use paused, since it was let through.
            still = await self._worker.run(lambda own: own.wanted(question))
            if wanted.place not in {each.place for each in still}:
                return
            told = await self._broker.ask(recipe.source.name, wanted.subject)
            if told.data is None:
                records.unusable(wanted)
            answer = UNUSABLE if told.data is None else told.data
        # Step 3: cells; and the answer is kept before anything is answered from them.
        index = await asyncio.to_thread(records.compute, wanted, answer, sound)
        if kept is None:
            lasting = UNUSABLE if index is None else answer
            await self._worker.run(lambda _: records.keep(wanted, lasting))
        await self._worker.run(lambda _: records.know(wanted, index))
