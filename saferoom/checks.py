"""A check in the room: from a caller's signed question to recorded answers.

The steps have the numbers of `docs/life-of-a-check.md`. The room does steps 1, 2 and 7; the
enclaves do the rest, and they trust nothing that is done here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, Protocol

from saferoom import uses
from saferoom.archive import Archive, FoundAnswer
from saferoom.evidence import Approved, Caller, Recorded
from saferoom.exchange import Judged
from saferoom.gist import ReleaseGist, RequestGist, release_gist, request_gist
from saferoom.mentions import About
from saferoom.notary import Notary
from saferoom.outbox import Outbox
from saferoom.refusals import Refusals, RequestRefusedError, Word
from saferoom.register import Register
from saferoom.reports import disputes_of
from saferoom.state.rows import AnswerRow, RequestRow, Row
from saferoom.undisturbed import Shared
from saferoom_proto.dsse import Envelope
from saferoom_proto.formula import bind, parse_formula
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import (
    CheckRequest,
    Outcome,
    Refusal,
    Release,
    load,
)

ABOUT_A_SUBJECT: Final = ("Check", "Score")
"""The kinds of templates that are asked about one subject at a time."""


class Judge(Protocol):
    """An enclave that serves, as far as a check needs it."""

    @property
    def outbox(self) -> Outbox:
        """Its own chain, as far as it stands in the room's log."""
        ...

    async def judge(self, request: Envelope) -> Judged:
        """Have a request judged."""
        ...

    async def report(self, request: Envelope, disputes: Sequence[Envelope]) -> Judged:
        """Have a request for a report answered."""
        ...


class Judges(Protocol):
    """The enclaves."""

    def serving(self, owner: str) -> Judge:
        """Give an owner's enclave, or refuse with `LOCKED` or `UNAVAILABLE`."""
        ...


class Checks:
    """Passes questions to enclaves and records what becomes of them.

    Args:
        register: what the room knows.
        judges: the enclaves.
        notary: records.
        archive: finds earlier answers.
        refusals: makes the room's own.
        clock: gives the instant.
    """

    def __init__(
        self,
        *,
        register: Register,
        judges: Judges,
        notary: Notary,
        archive: Archive,
        refusals: Refusals,
        clock: Callable[[], datetime],
    ) -> None:
        self._register: Final = register
        self._judges: Final = judges
        self._notary: Final = notary
        self._archive: Final = archive
        self._refusals: Final = refusals
        self._clock: Final = clock
        self._asked: Final = Shared[str, Sequence[Recorded[Word]]]()

    async def check(self, caller: Caller, envelope: Envelope) -> Sequence[Recorded[Word]]:
        """Answer a signed question.

        Args:
            caller: step 1, authentication, made it.
            envelope: the signed request.

        Returns:
            A recorded word of every owner, in order of their names; all of them answers.

        Raises:
            RequestRefusedError: with the reason of the first owner that refused, recorded.
            SafeRoomError: `MALFORMED` for what is no request.
        """
        request = request_gist(envelope)
        # Step 2: authorise.
        approved = await self.authorise(caller, envelope, request, *ABOUT_A_SUBJECT, "Report")
        # Whoever leaves: what was charged is recorded.
        return await self._asked.run(envelope.digest, lambda: self._answer(approved))

    async def authorise(
        self, caller: Caller, envelope: Envelope, request: RequestGist, *kinds: str
    ) -> Approved:
        """Let a request by a template of some kinds pass on, or record that it was refused.

        Raises:
            RequestRefusedError: with the reason, recorded.
        """
        try:
            return self._authorise(caller, envelope, request, kinds)
        except SafeRoomError as error:
            raise await self._refusals.record(
                error, institution=caller.organisation, question=envelope, owner=None
            ) from error

    async def drain(self, seconds: float) -> None:
        """Wait until every question under way is answered and recorded, and no longer than this.

        What an enclave still owes then, it says when it is asked again.
        """
        await self._asked.drain(seconds)

    async def earlier(self, caller: Caller, request_id: str) -> Sequence[Recorded[Word]]:
        """Give what was recorded for an earlier request of the caller's institution.

        Raises:
            SafeRoomError: `UNKNOWN_STATEMENT` if nothing was.
        """
        words = [
            self._prove(answer)
            for answer in await self._archive.answers(request_id)
            if answer.institution == caller.organisation
        ]
        spoken = {word.said.owner for word in words}
        for found in await self._archive.about(About.REFUSALS_OF_REQUEST, request_id):
            refusal = load(found.envelope, Refusal)
            if refusal.institution == caller.organisation and refusal.owner not in spoken:
                word = Word(refusal.owner, refusal.reason, b"")
                words.append(self._notary.prove(found, word))
        if not words:
            raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "no request of yours")
        return sorted(words, key=lambda word: (word.said.owner or "", word.index))

    def _authorise(
        self, caller: Caller, envelope: Envelope, request: RequestGist, kinds: tuple[str, ...]
    ) -> Approved:
        """Refuse what an enclave would refuse too, before it costs one anything.

        The one maker of `Approved`.
        """
        if request.institution != caller.organisation:
            raise SafeRoomError(Reason.NOT_ALLOWED, "another institution's request")
        template = self._register.template(request.template)
        if request.purpose not in template.says.purposes:
            raise SafeRoomError(Reason.WRONG_PURPOSE, str(request.purpose))
        if template.says.kind not in kinds:
            rule = f"{template.says.name} is of kind {template.says.kind}: ask by its own kind"
            fault = FieldFault("template", rule)
            raise SafeRoomError(Reason.NOT_ALLOWED, fault.rule, [fault])
        certificate = self._register.certificate(request.certificate)
        if certificate is None or certificate.says.template != template.digest:
            raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, "not a certificate of the template")
        owners = tuple(sorted(part.owner for part in certificate.says.parts))
        now = self._clock()
        for owner in owners:
            self._register.require_agreement(owner, request.institution, request.purpose, now)
        return Approved(caller, envelope, request, owners)

    async def _answer(self, approved: Approved) -> Sequence[Recorded[Word]]:
        # Steps 3 to 6 are the enclaves', all at once; step 7 follows for each as it answers.
        if len(approved.owners) == 1:
            outcomes = [await self._outcome(approved.owners[0], approved)]
        else:
            outcomes = await asyncio.gather(
                *(self._outcome(owner, approved) for owner in approved.owners)
            )
        words: list[Recorded[Word]] = []
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
            words.append(outcome)
        for word in words:
            if word.said.refused is not None:
                raise self._refused_by(approved, word.said, word.said.refused)
        return words

    async def _outcome(self, owner: str, approved: Approved) -> Recorded[Word] | Exception:
        """Ask one owner's enclave; what fails is given back, so that the others are heard out."""
        try:
            return await self._ask(owner, approved)
        except SafeRoomError as error:
            # No verdict: the room records that, in the enclave's place.
            return await self._refusals.record(
                error,
                institution=approved.request.institution,
                question=approved.envelope,
                owner=owner,
            )
        except Exception as error:  # noqa: BLE001 - raised again once all owners were heard
            return error

    async def _ask(self, owner: str, approved: Approved) -> Recorded[Word]:
        """Have one owner's enclave judge the request, and record its word."""
        try:
            enclave = self._judges.serving(owner)
            judged = await self._judged(enclave, owner, approved)
        except SafeRoomError:
            # What was answered before stays answered, enclave or no enclave.
            known = await self._recall(owner, approved)
            if known is None:
                raise
            return known
        release = await self._release(owner, approved, judged, enclave.outbox)
        word = Word(owner, release.reason, judged.sealed, release.consent)
        if enclave.outbox.is_recorded(judged.entry.chain_index):
            return await self._repeat(owner, approved, judged, word)
        # Step 7: record.
        recorded = await self._notary.record(
            Release,
            word,
            judged.entry.statement,
            salt=judged.entry.salt,
            rows=_rows(approved, judged, owner),
        )
        enclave.outbox.recorded(judged.entry.chain_index, recorded.index)
        return recorded

    async def _judged(self, enclave: Judge, owner: str, approved: Approved) -> Judged:
        request = approved.request
        if self._register.template(request.template).says.kind in ABOUT_A_SUBJECT:
            return await enclave.judge(approved.envelope)
        said = await disputes_of(self._archive, owner, request.subject)
        return await enclave.report(approved.envelope, said)

    async def _release(
        self, owner: str, approved: Approved, judged: Judged, outbox: Outbox
    ) -> ReleaseGist:
        """Verify that an enclave's word is its own, and on this request."""
        release = await outbox.release(judged.entry.statement)
        said = (release.owner, release.request, release.institution)
        if said != (owner, approved.envelope.digest, approved.request.institution):
            raise SafeRoomError(Reason.BAD_SIGNATURE, f"{owner}'s release is of another request")
        if (release.outcome is Outcome.ANSWERED) != bool(judged.sealed):
            raise SafeRoomError(Reason.BAD_SIGNATURE, f"{owner}'s release has another answer")
        return release

    async def _repeat(
        self, owner: str, approved: Approved, judged: Judged, word: Word
    ) -> Recorded[Word]:
        """Give a word that stands in the log already, byte for byte as it was given before."""
        known = await self._recall(owner, approved)
        if known is not None:
            return known
        # After a crash the log has it from the enclave's outbox, which knows no requests.
        recorded = await self._notary.recall(judged.entry.statement.digest, word)
        if recorded is None:
            raise SafeRoomError(Reason.INTERNAL, "the log lost an enclave's entry")
        await self._notary.keep(*_rows(approved, judged, owner, recorded.index))
        return recorded

    async def _recall(self, owner: str, approved: Approved) -> Recorded[Word] | None:
        """Find an owner's recorded word on a request; none if there is none."""
        for answer in await self._archive.answers(approved.envelope.digest):
            if answer.owner == owner and answer.institution == approved.request.institution:
                return self._prove(answer)
        return None

    def _prove(self, answer: FoundAnswer) -> Recorded[Word]:
        release = release_gist(answer.release.envelope)
        word = Word(answer.owner, release.reason, answer.sealed, release.consent)
        return self._notary.prove(answer.release, word)

    def _refused_by(self, approved: Approved, word: Word, reason: Reason) -> RequestRefusedError:
        """Make the refusal that an enclave decided on, naming the asker's own faults."""
        fields: Sequence[FieldFault] = ()
        if reason in (Reason.OFF_GRID, Reason.OFF_DOMAIN):
            fields = self._faults(load(approved.envelope, CheckRequest))
        return RequestRefusedError(
            reason,
            "the enclave's verdict",
            fields,
            request_id=approved.envelope.digest,
            owner=word.owner,
        )

    def _faults(self, request: CheckRequest) -> Sequence[FieldFault]:
        """Find which parameters are off: the enclave's verdict gives the reason only."""
        template = self._register.template(request.template).says
        if not template.check:
            return [FieldFault(f"params.{name}", "unknown") for name in sorted(request.params)]
        shapes = {ref: each.shape for ref, each in self._register.pinned_features.items()}
        try:
            bind(parse_formula(template.check), request.params, shapes)
        except SafeRoomError as error:
            return error.fields
        return ()


def _rows(
    approved: Approved, judged: Judged, owner: str, entry_idx: int | None = None
) -> tuple[Row, ...]:
    """Give what is kept beside a release: question, sealed answer, and whom they concern."""
    institution, digest = approved.request.institution, judged.entry.statement.digest
    request_id = approved.envelope.digest
    return (
        RequestRow(institution, approved.envelope),
        AnswerRow(request_id, owner, institution, digest, judged.sealed, entry_idx),
        *uses.answered(owner, approved.request.subject, request_id, entry_idx),
    )
