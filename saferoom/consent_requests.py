"""Requests for consent: recorded, and shown to the subject that they ask and who made them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
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
from saferoom_proto.statements import ConsentRequest, load

MOST_TO_SUBJECT: Final = 20
"""Requests of one institution to one subject that are open, or not yet a month old: else one could
bury those of all others."""
REMEMBERED: Final = timedelta(days=30)


class ConsentRequests:
    """Takes requests for consent and lists them to those they concern.

    Args:
        statements: accepts them.
        archive: finds them.
        notary: proves them.
        clock: gives the instant.
    """

    def __init__(
        self,
        statements: Statements,
        archive: Archive,
        notary: Notary,
        clock: Callable[[], datetime],
    ) -> None:
        self._statements: Final = statements
        self._archive: Final = archive
        self._notary: Final = notary
        self._clock: Final = clock
        self._one_by_one: Final = OneByOne()

    async def ask(self, caller: Caller, envelope: Envelope) -> Recorded[ConsentRequest]:
        """Accept an institution's request for a subject's consent.

        Raises:
            SafeRoomError: `TOO_MANY_REQUESTS` past so many to this subject.
        """
        request = load(envelope, ConsentRequest)
        subject_rules.CONSENT_REQUEST.may(caller, request)

        async def accepted() -> Recorded[ConsentRequest]:
            await self._require_few(envelope, request)
            return await self._statements.accept(caller, envelope, subject_rules.CONSENT_REQUEST)

        return await self._one_by_one.run(f"{request.institution} {request.subject}", accepted)

    async def listed(self, caller: Caller, before: int) -> Page:
        """Give requests made to a subject, or those of an institution, before an entry."""
        of_subject = Role.SUBJECT in caller.roles
        about = (
            About.CONSENT_REQUESTS_TO_SUBJECT
            if of_subject
            else About.CONSENT_REQUESTS_OF_INSTITUTION
        )
        return await page_about(self._archive, self._notary, about, caller.organisation, before)

    async def _require_few(self, envelope: Envelope, request: ConsentRequest) -> None:
        to_subject = await self._archive.about_both(
            (About.CONSENT_REQUESTS_TO_SUBJECT, request.subject),
            (About.CONSENT_REQUESTS_OF_INSTITUTION, request.institution),
        )
        if any(each.digest == envelope.digest for each in to_subject):
            return  # it is there already
        now = self._clock()
        said = [load(each, ConsentRequest) for each in to_subject]
        counted = [
            each for each in said if each.valid_to > now or each.valid_from > now - REMEMBERED
        ]
        if len(counted) >= MOST_TO_SUBJECT:
            rule = (
                f"{len(counted)} of your requests to this subject are open, or not yet"
                f" {REMEMBERED.days} days old: let it answer those, or wait until they are"
            )
            fault = FieldFault("request.subject", rule)
            raise SafeRoomError(Reason.TOO_MANY_REQUESTS, "consent requests", [fault])
