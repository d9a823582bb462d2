"""Disputes: recorded, routed to the owner they name, answered by it, or taken back."""

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
from saferoom_proto.statements import (
    BatchRelease,
    Disclosure,
    Dispute,
    DisputeAnswer,
    DisputeWithdrawal,
    Finding,
    Refusal,
    Release,
    Snapshot,
    load,
)

MOST_WITH_OWNER: Final = 100
"""Disputes of one subject with one owner that are open, or that it took back within a month of
opening them: else opening and taking back would fill the log and the owner's list."""
MOST_ANSWERS: Final = 20
"""Answers of an owner to one dispute: else it could bury a subject's list under one of them."""
REMEMBERED: Final = timedelta(days=30)


class Disputes:
    """Takes disputes and what ends them, and lists both to those they concern.

    Args:
        statements: accepts them.
        archive: finds them, and the uses they are about.
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

        async def accepted() -> Recorded[Dispute]:
            if self._archive.statement(envelope.digest) is None:
                await self._require_few(dispute)
            return await self._statements.accept(caller, envelope, subject_rules.DISPUTE)

        return await self._one_by_one.run(_between(dispute), accepted)

    async def answer(self, caller: Caller, envelope: Envelope) -> Recorded[DisputeAnswer]:
        """Accept an owner's answer to a dispute.

        Raises:
            SafeRoomError: `UNKNOWN_STATEMENT` if it is about no dispute of this subject with this
                owner, or names a period of which no snapshot is known; `CONFLICT` if it was taken
                back, or would be passed on after it was settled; `TOO_MANY_REQUESTS` past so many
                answers to one dispute.
        """
        answer = load(envelope, DisputeAnswer)
        subject_rules.DISPUTE_ANSWER.may(caller, answer)
        await self._require_dispute(answer)
        if answer.epoch is not None:
            await self._require_snapshot(answer.owner, answer.epoch)

        async def accepted() -> Recorded[DisputeAnswer]:
            if self._archive.statement(envelope.digest) is None:
                await self._require_not(answer, About.DISPUTES_WITHDRAWN, _TAKEN_BACK)
                if answer.finding is Finding.PASSED_ON:
                    await self._require_not(answer, About.DISPUTES_CLOSED, _SETTLED)
                await self._require_few_answers(answer)
            return await self._statements.accept(caller, envelope, subject_rules.DISPUTE_ANSWER)

        return await self._one_by_one.run(_between(answer), accepted)

    async def withdraw(self, caller: Caller, envelope: Envelope) -> Recorded[DisputeWithdrawal]:
        """Accept that a subject takes its dispute back.

        Raises:
            SafeRoomError: `UNKNOWN_STATEMENT` if it is no dispute of this subject with this owner;
                `CONFLICT` if it was settled or taken back.
        """
        withdrawal = load(envelope, DisputeWithdrawal)
        subject_rules.DISPUTE_WITHDRAWAL.may(caller, withdrawal)
        await self._require_dispute(withdrawal)

        async def accepted() -> Recorded[DisputeWithdrawal]:
            if self._archive.statement(envelope.digest) is None:
                await self._require_not(withdrawal, About.DISPUTES_WITHDRAWN, _TAKEN_BACK)
                await self._require_not(withdrawal, About.DISPUTES_CLOSED, _SETTLED)
            return await self._statements.accept(caller, envelope, subject_rules.DISPUTE_WITHDRAWAL)

        return await self._one_by_one.run(_between(withdrawal), accepted)

    async def listed(self, caller: Caller, before: int) -> Page:
        """Give what was said of a subject's disputes, or of those made to an owner."""
        of_subject = Role.SUBJECT in caller.roles
        about = About.DISPUTES_OF_SUBJECT if of_subject else About.DISPUTES_TO_OWNER
        return await page_about(self._archive, self._notary, about, caller.organisation, before)

    async def _require_few(self, dispute: Dispute) -> None:
        since = self._clock() - REMEMBERED
        held = await self._archive.standing_disputes(dispute.subject, dispute.owner, since)
        if held >= MOST_WITH_OWNER:
            rule = f"{held} with {dispute.owner} are open or just taken back: wait for its answers"
            fault = FieldFault("dispute.owner", rule)
            raise SafeRoomError(Reason.TOO_MANY_REQUESTS, "disputes", [fault])

    async def _require_few_answers(self, answer: DisputeAnswer) -> None:
        about, most = About.ANSWERS_OF_DISPUTE, MOST_ANSWERS
        if len(await self._archive.about(about, answer.dispute, most=most)) >= most:
            rule = f"it has {most} answers: the newest one counts"
            fault = FieldFault("answer.dispute", rule)
            raise SafeRoomError(Reason.TOO_MANY_REQUESTS, "answers", [fault])

    async def _require_use(self, dispute: Dispute, use: str) -> None:
        found = await self._archive.find(use)
        kinds = _WHOLE_USES if dispute.row is None else {BatchRelease.KIND}
        if found is None or found.kind not in kinds:
            raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "no such use")
        # The room does not know which row of a batch is about whom: its enclave does (ADR 15).
        whom = {dispute.owner} if dispute.row is not None else {dispute.owner, dispute.subject}
        for each in whom:
            if not await self._archive.is_use_of(each, found.position.index):
                raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "a use of others")
        if dispute.row is not None:
            batch = load(found.envelope, BatchRelease)
            if dispute.row >= (rows := batch.answered + batch.refused):
                fault = FieldFault("dispute.row", f"the batch has {rows} rows")
                raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "row", [fault])

    async def _require_dispute(self, said: DisputeAnswer | DisputeWithdrawal) -> None:
        envelope = self._archive.statement(said.dispute)
        if envelope is None or envelope.payload_type != Dispute.payload_type():
            raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "no such dispute")
        dispute = load(envelope, Dispute)
        if (dispute.owner, dispute.subject) != (said.owner, said.subject):
            raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "a dispute of others")

    async def _require_snapshot(self, owner: str, epoch: int) -> None:
        snapshots = await self._archive.about(About.SNAPSHOTS_OF_OWNER, owner)
        if all(load(each.envelope, Snapshot).store.epoch != epoch for each in snapshots):
            fault = FieldFault("answer.epoch", f"{owner} has no snapshot of epoch {epoch}")
            raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "epoch", [fault])

    async def _require_not(
        self, said: DisputeAnswer | DisputeWithdrawal, ended: About, rule: str
    ) -> None:
        if await self._archive.about(ended, said.dispute, most=1):
            raise SafeRoomError(Reason.CONFLICT, rule, [FieldFault("dispute", rule)])


_WHOLE_USES: Final = frozenset({Release.KIND, Refusal.KIND, Disclosure.KIND})
_TAKEN_BACK: Final = "its subject took it back"
_SETTLED: Final = "its owner settled it"


def _between(said: Dispute | DisputeAnswer | DisputeWithdrawal) -> str:
    return f"{said.subject} {said.owner}"
