"""Tables in the room: a signed request passed to its owner's enclave, and the word recorded.

The room goes the steps of a check (`docs/life-of-a-check.md`) with a request that is about nobody.
It sees who asked whom by which template; the tables are sealed to the asker, and kept by the
enclave alone.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

from saferoom.checks import Checks
from saferoom.evidence import Approved, Caller, Recorded
from saferoom.exchange import Judged
from saferoom.gist import table_gist
from saferoom.links import Links
from saferoom.outbox import Outbox
from saferoom.refusals import Refusals
from saferoom.state.rows import RequestRow
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Outcome, TableRelease

Told = tuple[Recorded[TableRelease], bytes]
"""The enclave's recorded word, and the sealed tables; none for a refusal."""


class Tables:
    """Passes requests for tables to enclaves and records what they say.

    Args:
        checks: authorises, as for a check.
        links: reaches the enclaves.
        refusals: makes the room's own.
    """

    def __init__(self, *, checks: Checks, links: Links, refusals: Refusals) -> None:
        self._checks: Final = checks
        self._links: Final = links
        self._refusals: Final = refusals
        self._under_way: Final[dict[str, asyncio.Task[Told]]] = {}

    async def make(self, caller: Caller, envelope: Envelope) -> Told:
        """Answer a signed request for tables.

        Whoever leaves, or whose call ends before the tables are made, asks again and waits for the
        same word.

        Args:
            caller: step 1, authentication, made it.
            envelope: the signed request.

        Raises:
            RequestRefusedError: the room or an enclave refused without a verdict, recorded.
            SafeRoomError: `MALFORMED` for what is no such request.
        """
        request = table_gist(envelope)
        approved = await self._checks.authorise(caller, envelope, request, "Aggregate")
        task = self._under_way.get(envelope.digest)
        if task is None:
            task = asyncio.create_task(self._told(approved))
            self._under_way[envelope.digest] = task
            task.add_done_callback(partial(self._finished, envelope.digest))
        return await asyncio.shield(task)

    async def drain(self, seconds: float) -> None:
        """Wait until all that is being made is made and recorded, and no longer than this."""
        if self._under_way:
            await asyncio.wait(self._under_way.values(), timeout=seconds)

    def _finished(self, request_id: str, task: asyncio.Task[Told]) -> None:
        del self._under_way[request_id]
        if not task.cancelled():
            task.exception()  # its callers may all have left; then nobody else looks at it

    async def _told(self, approved: Approved) -> Told:
        (owner,) = approved.owners
        try:
            session = self._links.serving(owner)
            judged = await session.tabulate(approved.envelope)
            return await self._record(owner, approved, judged, session.outbox), judged.sealed
        except SafeRoomError as error:
            raise await self._refusals.record(
                error,
                institution=approved.request.institution,
                question=approved.envelope,
                owner=owner,
            ) from error

    async def _record(
        self, owner: str, approved: Approved, judged: Judged, outbox: Outbox
    ) -> Recorded[TableRelease]:
        """Verify that an enclave's word is its own, and on this request; and record it."""
        release = await outbox.verified(judged.entry.statement, TableRelease)
        said = (release.owner, release.request, release.institution)
        if said != (owner, approved.envelope.digest, approved.request.institution):
            raise SafeRoomError(Reason.BAD_SIGNATURE, f"{owner}'s word is on another request")
        if (release.outcome is Outcome.ANSWERED) != bool(judged.sealed):
            raise SafeRoomError(Reason.BAD_SIGNATURE, f"{owner}'s word has other tables")
        asked = RequestRow(approved.request.institution, approved.envelope)
        return await outbox.record(TableRelease, release, judged.entry, owner, asked)
