"""Trainings in the room over several owners' columns: the givers let them begin, the host trains.

Of the givers' part each is a job, with a word on its beginning and one on its end; the host's word
on the whole is a fit's. What the host's enclave asks of the others' meanwhile is carried, sealed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Final

from saferoom.evidence import Approved, Recorded
from saferoom.exchange import Judged, OutboxEntry
from saferoom.jobs.carried import Sides
from saferoom.jobs.owners import JobOwners
from saferoom.jobs.pieces import FitPiece, JobPiece
from saferoom.jobs.words import Enclaves, JobWords, is_refusal
from saferoom.made import Told
from saferoom.undisturbed import Shared
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import FitRelease, JobCancel, load

_LOOK_SECONDS: Final = 0.1
"""How often it is tried to end what has not come to its enclave yet."""


class FitsOfOwners:
    """Has several owners' enclaves train together.

    Args:
        enclaves: the enclaves.
        owners: carries between them.
        words: records what the givers say.
    """

    def __init__(self, enclaves: Enclaves, owners: JobOwners, words: JobWords) -> None:
        self._enclaves: Final = enclaves
        self._owners: Final = owners
        self._words: Final = words

    async def told(
        self,
        approved: Approved,
        record: Callable[[str, Judged], Awaitable[Recorded[FitRelease]]],
    ) -> Told[FitRelease]:
        """Have a model trained; a repeat is given the same words.

        Args:
            approved: the request.
            record: verifies and records the host's word.

        Raises:
            SafeRoomError: a plain refusal of any of the enclaves: the same request goes on later.
        """
        sides = self._owners.sides(approved.request.template)
        # Step 1: all serve, before any counts a run.
        for owner in sides.in_order:
            self._enclaves.serving(owner)
        # Step 2: every giver lets it begin; one that refuses ends it at the others.
        admitted = list[Recorded[bytes]]()
        for giver in sides.givers:
            word = await self._words.begun(giver, approved)
            if is_refusal(word.statement):
                await self._owners.spread(sides, approved.envelope.digest, giver, word.statement)
                return Told(None, b"", (word,))
            admitted.append(word)
        # Step 3: the host trains, and asks them; then each hears what became of it.
        judged = await self._trained(sides, approved)
        recorded = await record(sides.host, judged)
        await self._owners.spread(
            sides, approved.envelope.digest, sides.host, judged.entry.statement
        )
        return Told(recorded, judged.sealed, tuple(admitted))

    async def _trained(self, sides: Sides, approved: Approved) -> Judged:
        carried = self._owners.carry(sides, FitPiece(approved.envelope), _nothing())
        async with aclosing(carried) as told:
            async for each in told:
                if isinstance(each, Judged):
                    return each
        raise SafeRoomError(Reason.UNAVAILABLE, f"the enclave of {sides.host} says nothing more")


class FitEnds:
    """Ends trainings in the room by their institution's word, at the enclave that trains.

    Args:
        enclaves: the enclaves.
        owners: tells the others, where there are several.
        under_way: gives what the room has an enclave make by a request, if it does.
    """

    def __init__(
        self,
        enclaves: Enclaves,
        owners: JobOwners,
        under_way: Callable[[str], asyncio.Task[Told[FitRelease]] | None],
    ) -> None:
        self._enclaves: Final = enclaves
        self._owners: Final = owners
        self._under_way: Final = under_way
        self._ending: Final = Shared[tuple[str, str], Recorded[object]]()

    async def cancel(self, cancel: JobCancel, envelope: Envelope) -> Recorded[object]:
        """End a training; to its end, and once for an institution that asks again meanwhile.

        Returns:
            The enclave's word on it, recorded: that this ended it, or what came before.

        Raises:
            SafeRoomError: `UNKNOWN_STATEMENT` for what its enclave does not know; what that refuses
                with.
        """
        asked = (cancel.institution, cancel.job)
        return await self._ending.run(asked, lambda: self._end(cancel, envelope))

    async def drain(self, seconds: float) -> None:
        """Wait until all that is being ended has ended, and no longer than this."""
        await self._ending.drain(seconds)

    async def _end(self, cancel: JobCancel, envelope: Envelope) -> Recorded[object]:
        made = self._under_way(cancel.job)
        entry = await self._ended(cancel, envelope, made)
        # Whoever asked for it, or left, has the same word recorded; after a crash nobody does.
        if made is not None and (word := (await asyncio.shield(made)).word) is not None:
            return word
        host = self._enclaves.serving(cancel.owner)
        recorded = await host.outbox.take(entry)
        said = load(entry.statement, FitRelease)
        sides = self._owners.sides(said.template)
        await self._owners.spread(sides, cancel.job, sides.host, entry.statement)
        return recorded

    async def _ended(
        self, cancel: JobCancel, envelope: Envelope, made: asyncio.Task[Told[FitRelease]] | None
    ) -> OutboxEntry:
        while True:
            try:
                return await self._enclaves.serving(cancel.owner).jobs.end_job(envelope)
            except SafeRoomError as error:
                unknown = error.reason is Reason.UNKNOWN_STATEMENT
                if not unknown or made is None or made.done():
                    raise
            # It is on its way there: the room looks at it, or givers let it begin.
            await asyncio.sleep(_LOOK_SECONDS)


async def _nothing() -> AsyncGenerator[JobPiece]:
    """Give nothing: there is no label side."""
    for piece in ():
        yield piece
