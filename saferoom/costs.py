"""What a question would cost: passed to the enclaves, and recorded, like the question itself.

Only the enclaves know what was asked before. The room goes the steps of a check
(`docs/life-of-a-check.md`) with the request for its price.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from saferoom import uses
from saferoom.checks import ABOUT_A_SUBJECT, Checks, Judges
from saferoom.evidence import Approved, Caller, Recorded
from saferoom.gist import cost_gist
from saferoom.notary import Notary
from saferoom.refusals import Refusals
from saferoom.state.rows import AskedRow, RequestRow, UseRow
from saferoom.undisturbed import Undisturbed
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import CostEstimate


class Costs:
    """Passes requests for prices to enclaves and records what they say.

    Args:
        checks: authorises: who may ask a question may ask for its price.
        judges: the enclaves.
        notary: records.
        refusals: makes the room's own.
    """

    def __init__(
        self, *, checks: Checks, judges: Judges, notary: Notary, refusals: Refusals
    ) -> None:
        self._checks: Final = checks
        self._judges: Final = judges
        self._notary: Final = notary
        self._refusals: Final = refusals
        self._asked: Final = Undisturbed()

    async def cost(self, caller: Caller, envelope: Envelope) -> Sequence[Recorded[CostEstimate]]:
        """Tell what a question would cost.

        Args:
            caller: step 1, authentication, made it.
            envelope: the signed request for the price.

        Returns:
            A recorded word of every owner, in order of their names.

        Raises:
            RequestRefusedError: recorded; nobody tells a price.
            SafeRoomError: `MALFORMED` for what is no such request.
        """
        request = cost_gist(envelope)
        # Step 2: authorise, as for the question itself.
        approved = await self._checks.authorise(caller, envelope, request, *ABOUT_A_SUBJECT)
        return await self._asked.run(self._told(approved))

    async def drain(self, seconds: float) -> None:
        """Wait until every price asked for is told and recorded, and no longer than this."""
        await self._asked.drain(seconds)

    async def _told(self, approved: Approved) -> Sequence[Recorded[CostEstimate]]:
        # Steps 3 to 7, at every owner at once; each is heard out, and recorded, whoever leaves.
        asked = (self._outcome(owner, approved) for owner in approved.owners)
        words: list[Recorded[CostEstimate]] = []
        for outcome in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
            words.append(outcome)
        return words

    async def _outcome(self, owner: str, approved: Approved) -> Recorded[CostEstimate]:
        try:
            return await self._ask(owner, approved)
        except SafeRoomError as error:
            raise await self._refusals.record(
                error,
                institution=approved.request.institution,
                question=approved.envelope,
                owner=owner,
            ) from error

    async def _ask(self, owner: str, approved: Approved) -> Recorded[CostEstimate]:
        enclave = self._judges.serving(owner)
        judged = await enclave.judge(approved.envelope)
        statement = judged.entry.statement
        estimate = await enclave.outbox.verified(statement, CostEstimate)
        said = (estimate.owner, estimate.request, estimate.institution)
        if said != (owner, approved.envelope.digest, approved.request.institution):
            raise SafeRoomError(Reason.BAD_SIGNATURE, f"{owner}'s price is of another request")
        # A repeat, and what came by way of the outbox after a crash, is given back as it stands.
        earlier = enclave.outbox.is_recorded(judged.entry.chain_index)
        recorded = await self._notary.record(
            CostEstimate,
            estimate,
            statement,
            salt=judged.entry.salt,
            rows=_rows(owner, approved),
        )
        if earlier:
            # The outbox knows no requests.
            await self._notary.keep(*_rows(owner, approved, recorded.index))
        enclave.outbox.recorded(judged.entry.chain_index, recorded.index)
        return recorded


def _rows(
    owner: str, approved: Approved, entry_idx: int | None = None
) -> tuple[RequestRow | UseRow | AskedRow, ...]:
    """Give what is kept beside a price: what was asked, and whom it concerns."""
    request, request_id = approved.request, approved.envelope.digest
    return (
        RequestRow(request.institution, approved.envelope),
        *uses.answered(owner, request.subject, request_id, entry_idx),
    )
