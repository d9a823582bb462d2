"""Disputes: recorded, and routed to the owner they name. Handling them comes later."""

from __future__ import annotations

from typing import Final

from saferoom import subject_rules
from saferoom.archive import Archive
from saferoom.evidence import Caller, Recorded, Role
from saferoom.mentions import About
from saferoom.notary import Notary
from saferoom.one_by_one import OneByOne
from saferoom.pages import Page, page_about
from saferoom.statements import Statements
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import Disclosure, Dispute, Refusal, Release, load

MOST_WITH_OWNER: Final = 100
"""Disputes of one subject with one owner: none ends in the room yet, so that all are open."""


class Disputes:
    """Takes disputes and lists them to those they concern.

    Args:
        statements: accepts them.
        archive: finds them, and the uses they are about.
        notary: proves them.
    """

    def __init__(self, statements: Statements, archive: Archive, notary: Notary) -> None:
        self._statements: Final = statements
        self._archive: Final = archive
        self._notary: Final = notary
        self._one_by_one: Final = OneByOne()

    async def open(self, caller: Caller, envelope: Envelope) -> Recorded[Dispute]:
        """Accept a subject's dispute.

        Raises:
            SafeRoomError: `UNKNOWN_STATEMENT` if it is about no use of this subject at this owner;
                `TOO_MANY_REQUESTS` past so many with this owner.
        """
        dispute = load(envelope, Dispute)
        subject_rules.DISPUTE.may(caller, dispute)
        if dispute.use is not None:
            await self._require_use(dispute, dispute.use)
        async with self._one_by_one.turn(f"{dispute.subject} {dispute.owner}"):
            await self._require_few(envelope, dispute)
            return await self._statements.accept(caller, envelope, subject_rules.DISPUTE)

    async def listed(self, caller: Caller, before: int) -> Page:
        """Give disputes of a subject, or those made to an owner, before an entry."""
        of_subject = Role.SUBJECT in caller.roles
        about = About.DISPUTES_OF_SUBJECT if of_subject else About.DISPUTES_TO_OWNER
        return await page_about(self._archive, self._notary, about, caller.organisation, before)

    async def _require_few(self, envelope: Envelope, dispute: Dispute) -> None:
        held = await self._archive.about_both(
            (About.DISPUTES_OF_SUBJECT, dispute.subject), (About.DISPUTES_TO_OWNER, dispute.owner)
        )
        there_already = any(each.digest == envelope.digest for each in held)
        if len(held) >= MOST_WITH_OWNER and not there_already:
            rule = (
                f"{len(held)} disputes of yours with {dispute.owner} stand in the log: speak with"
                " it about those; it was shown each of them"
            )
            fault = FieldFault("dispute.owner", rule)
            raise SafeRoomError(Reason.TOO_MANY_REQUESTS, "disputes", [fault])

    async def _require_use(self, dispute: Dispute, use: str) -> None:
        found = await self._archive.find(use)
        if found is None or found.kind not in (Release.KIND, Refusal.KIND, Disclosure.KIND):
            raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "no such use")
        index = found.position.index
        for whom in (dispute.subject, dispute.owner):
            if not await self._archive.is_use_of(whom, index):
                raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "a use of others")
