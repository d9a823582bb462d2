"""What owners' enclaves make of many records at one request: tables, a model, or a list.

The room goes the steps of a check (`docs/life-of-a-check.md`) with a request that is about nobody.
It sees who asked whom by which template; what is made is sealed to the asker, and kept by the
enclave alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from saferoom.archive import Archive
from saferoom.checks import Checks
from saferoom.evidence import Approved, Caller, Recorded
from saferoom.exchange import Judged
from saferoom.gist import RequestGist, fit_gist, list_gist, table_gist
from saferoom.links import Links
from saferoom.outbox import Outbox
from saferoom.refusals import Refusals
from saferoom.reports import disputes_in
from saferoom.session import Session
from saferoom.state.rows import RequestRow
from saferoom.undisturbed import Shared
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import FitRelease, Outcome, Release, TableRelease, Template, load

Word = TypeVar("Word", TableRelease, FitRelease, Release)
_Key = tuple[str, str]
"""A request's id, and whose enclave it is asked of; nobody's alone where they make it together."""


@dataclass(frozen=True, slots=True)
class Making(Generic[Word]):
    """A kind of request, and of the word on it.

    Attributes:
        kind: of its template.
        gist: reads what the room goes by.
        word: the enclave's.
        ask: has an enclave make it.
    """

    kind: str
    gist: Callable[[Envelope], RequestGist]
    word: type[Word]
    ask: Callable[[Session, Envelope], Awaitable[Judged]]


def _one_of(owners: Sequence[str], named: str) -> str:
    """Give whose enclave is asked: the one that is named, or the only one."""
    if not named and len(owners) == 1:
        return owners[0]
    if named not in owners:
        fault = FieldFault("owner", f"one of these is expected: {', '.join(owners)}")
        raise SafeRoomError(Reason.MALFORMED, fault.rule, [fault])
    return named


@dataclass(frozen=True, slots=True)
class Told(Generic[Word]):
    """What is told of a request.

    Attributes:
        word: the enclave's; of several owners the host's, and none where another one refused.
        sealed: what is for the asker alone, if anything.
        others: of several owners, the words by which the others let it begin, or refused it.
    """

    word: Recorded[Word] | None
    sealed: bytes
    others: tuple[Recorded[bytes], ...] = ()

    @property
    def of_one(self) -> Recorded[Word]:
        """The word where one owner was asked, who always gives it."""
        if self.word is None:
            raise SafeRoomError(Reason.INTERNAL, "one owner was asked, and gave no word")
        return self.word


class Several(Protocol[Word]):
    """Has several owners' enclaves make something together."""

    async def told(
        self, approved: Approved, record: Callable[[str, Judged], Awaitable[Recorded[Word]]]
    ) -> Told[Word]:
        """Have it made; the host's word is verified and recorded by `record`."""
        ...


TABLES: Final = Making("Aggregate", table_gist, TableRelease, Session.tabulate)
FITS: Final = Making("Fit", fit_gist, FitRelease, Session.fit_model)


def lists(archive: Archive) -> Making[Release]:
    """Give how lists are made: with what was said of disputes in their registers.

    Args:
        archive: holds it, and the templates.
    """

    async def ask(session: Session, envelope: Envelope) -> Judged:
        template = await archive.find(list_gist(envelope).template)
        listing = None if template is None else load(template.envelope, Template).listing
        if listing is None:
            raise SafeRoomError(Reason.NOT_ALLOWED, "a template of another kind")
        said = await disputes_in(archive, listing.owner, listing.table)
        return await session.report(envelope, said)

    return Making("List", list_gist, Release, ask)


class Made(Generic[Word]):
    """Passes requests to enclaves and records what they say.

    Args:
        making: which requests.
        checks: authorises, as for a check.
        links: reaches the enclaves.
        refusals: makes the room's own.
        several: has several owners' enclaves make it together, where they may.
    """

    def __init__(
        self,
        making: Making[Word],
        *,
        checks: Checks,
        links: Links,
        refusals: Refusals,
        several: Several[Word] | None = None,
    ) -> None:
        self._making: Final = making
        self._checks: Final = checks
        self._links: Final = links
        self._refusals: Final = refusals
        self._several: Final = several
        self._asked: Final = Shared[_Key, Told[Word]]()

    async def make(self, caller: Caller, envelope: Envelope, owner: str = "") -> Told[Word]:
        """Answer a signed request: the enclave's recorded word, and what is sealed, if anything.

        Whoever leaves, or whose call ends before it is made, asks again and waits for the same
        word.

        Args:
            caller: step 1, authentication, made it.
            envelope: the signed request.
            owner: of several, whose enclave is asked; empty where there is one.

        Raises:
            RequestRefusedError: the room or an enclave refused without a verdict, recorded.
            SafeRoomError: `MALFORMED` for what is no such request, or for another owner.
        """
        request = self._making.gist(envelope)
        approved = await self._checks.authorise(caller, envelope, request, self._making.kind)
        together = self._several is not None and len(approved.owners) > 1 and not owner
        of = "" if together else _one_of(approved.owners, owner)
        return await self._asked.run((envelope.digest, of), lambda: self._told(approved, of))

    def under_way(self, request: str) -> asyncio.Task[Told[Word]] | None:
        """Give what is being made by a request of one enclave, or of several together, if it is."""
        found = (task for (job, _), task in self._asked.under_way.items() if job == request)
        return next(found, None)

    async def drain(self, seconds: float) -> None:
        """Wait until all that is being made is made and recorded, and no longer than this."""
        await self._asked.drain(seconds)

    async def _told(self, approved: Approved, owner: str) -> Told[Word]:
        try:
            if self._several is not None and not owner:
                return await self._told_by_several(approved, self._several)
            session = self._links.serving(owner)
            judged = await self._making.ask(session, approved.envelope)
            recorded = await self._record(owner, approved, judged, session.outbox)
            return Told(recorded, judged.sealed)
        except SafeRoomError as error:
            raise await self._refusals.record(
                error,
                institution=approved.request.institution,
                question=approved.envelope,
                owner=owner or None,
            ) from error

    async def _told_by_several(self, approved: Approved, several: Several[Word]) -> Told[Word]:
        async def record(host: str, judged: Judged) -> Recorded[Word]:
            return await self._record(host, approved, judged, self._links.serving(host).outbox)

        return await several.told(approved, record)

    async def _record(
        self, owner: str, approved: Approved, judged: Judged, outbox: Outbox
    ) -> Recorded[Word]:
        """Verify that an enclave's word is its own, and on this request; and record it."""
        release = await outbox.verified(judged.entry.statement, self._making.word)
        said = (release.owner, release.request, release.institution)
        if said != (owner, approved.envelope.digest, approved.request.institution):
            raise SafeRoomError(Reason.BAD_SIGNATURE, f"{owner}'s word is on another request")
        if (release.outcome is Outcome.ANSWERED) != bool(judged.sealed):
            raise SafeRoomError(Reason.BAD_SIGNATURE, f"{owner}'s word came with something else")
        asked = RequestRow(approved.request.institution, approved.envelope)
        return await outbox.record(self._making.word, release, judged.entry, owner, asked)
