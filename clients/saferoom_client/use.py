"""One use: what became of one question at one owner, or in the room itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from saferoom_client.values import bits_told
from saferoom_proto.answer import Band, Truth
from saferoom_proto.asked import Question, open_question, subject_of
from saferoom_proto.batch_row import SubjectRow
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    BatchRelease,
    BatchRequest,
    Charge,
    CheckRequest,
    CostEstimate,
    CostRequest,
    Disclosure,
    FitRelease,
    FitRequest,
    JobAdmission,
    JobRelease,
    JobRequest,
    ListRequest,
    PrivacySpent,
    TableRelease,
    TableRequest,
)
from saferoom_proto.statements.request import ParameterValue
from saferoom_proto.wire import Recorded


class UseKind(StrEnum):
    """What was asked of an owner's enclave."""

    CHECK = "check"
    BATCH = "batch"
    PRICE = "price"
    TABLE = "table"
    """Of everybody together."""
    LIST = "list"
    """Of those of a district or an industry who stand on a register; about nobody beforehand."""
    JOB = "job"
    """Of training, jointly or in the room: about nobody alone."""
    LOOK = "look"
    """By the subject itself: what is held about it."""


_USE_KINDS: Final[Mapping[str | None, UseKind]] = {
    BatchRelease.payload_type(): UseKind.BATCH,
    BatchRequest.payload_type(): UseKind.BATCH,
    CostEstimate.payload_type(): UseKind.PRICE,
    CostRequest.payload_type(): UseKind.PRICE,
    FitRelease.payload_type(): UseKind.JOB,
    FitRequest.payload_type(): UseKind.JOB,
    ListRequest.payload_type(): UseKind.LIST,
    TableRelease.payload_type(): UseKind.TABLE,
    TableRequest.payload_type(): UseKind.TABLE,
    JobAdmission.payload_type(): UseKind.JOB,
    JobRelease.payload_type(): UseKind.JOB,
    JobRequest.payload_type(): UseKind.JOB,
    Disclosure.payload_type(): UseKind.LOOK,
}


@dataclass(frozen=True, slots=True)
class Use:
    """One verified use: what became of one question at one owner, or in the room itself.

    Attributes:
        index: its entry of the log.
        word: the enclave's release or the room's refusal, with its proof.
        owner: whose enclave was asked; none where the room refused before it asked any.
        institution: who asked; the subject itself where it was shown what is held about it.
        request_id: the question's digest.
        template: digest of what was asked; none where that is not known, or was no question.
        reason: why it was refused; none if it was answered.
        time: when.
        charges: what the answer may have told, in cells told apart before and after it; a batch's
            stand with its rows, and a price charges nothing.
        privacy: of what leaves with noise, what it was charged, or would be, and has been spent.
        rows: of a batch, how many were answered and how many refused.
        row: of a batch, as its subject is shown it: the row about the subject, with its proof.
        consent: digest of the consent it was given under; none if it needed none.
        epoch: the store's period that it was answered from.
        request: the question; none if the room no longer has it.
        question: the same as it was signed.
    """

    index: int
    word: Recorded = field(repr=False)
    owner: str | None
    institution: str
    request_id: str
    template: str | None
    reason: Reason | None
    time: datetime
    charges: tuple[Charge, ...] = ()
    privacy: PrivacySpent | None = None
    consent: str | None = None
    epoch: int | None = None
    rows: tuple[int, int] | None = None
    row: SubjectRow | None = field(default=None, repr=False)
    request: Question | None = None
    question: Envelope | None = field(default=None, repr=False)

    def with_question(self, question: Envelope) -> Use:
        """Add the question that the word is about.

        Raises:
            SafeRoomError: `BAD_PROOF` if it is another one.
        """
        request = open_question(question)
        same = (question.digest, request.institution) == (self.request_id, self.institution)
        if not same or self.template not in (None, request.template):
            raise SafeRoomError(Reason.BAD_PROOF, "the room shows another question than was asked")
        return replace(self, request=request, question=question, template=request.template)

    @property
    def subject(self) -> str | None:
        """Whom it is about; none where that is not known, or stands in a batch's rows."""
        if self.row is not None:
            return self.row.subject
        if self.by_itself:
            return self.institution
        return None if self.request is None else subject_of(self.request)

    @property
    def kind(self) -> UseKind:
        """What was asked: by the word on it, or by the question where the room refused it."""
        asked = None if self.question is None else self.question.payload_type
        for given in (self.word.statement.payload_type, asked):
            if given in _USE_KINDS:
                return _USE_KINDS[given]
        return UseKind.CHECK

    @property
    def begins(self) -> bool:
        """Whether it is a job that begins; what becomes of it is a use of its own."""
        return self.word.statement.payload_type == JobAdmission.payload_type()

    @property
    def of_price(self) -> bool:
        """Whether only the price of a question was asked for."""
        return self.kind is UseKind.PRICE

    @property
    def by_itself(self) -> bool:
        """Whether the subject itself was shown all that is held about it."""
        return self.kind is UseKind.LOOK

    @property
    def questions(self) -> int:
        """How many questions it stands for: a batch asks one with each row, a job as it ends."""
        if self.begins:
            return 0
        if isinstance(self.request, BatchRequest) and self.row is None:
            return self.request.rows
        return 1 if self.rows is None else sum(self.rows)

    @property
    def params(self) -> Mapping[str, ParameterValue]:
        """What it was asked with; nothing where that is not known, or differs between rows."""
        match self.request:
            case CheckRequest() | CostRequest():
                return self.request.params
            case ListRequest():
                return {"code": self.request.code, "page": str(self.request.page)}
            case BatchRequest() if self.row is not None:
                return self.request.params[self.row.row.parameters]
            case _:
                return {}

    @property
    def answer(self) -> Truth | Band | None:
        """What was answered; of a row of a batch only: of a check it is the asker's to tell.

        None of a row that a share answered: nobody but the asker can add the shares.
        """
        if self.row is None:
            return None
        outcome = self.row.record(self.word.statement.suite).outcome
        return outcome if isinstance(outcome, Truth | Band) else None

    @property
    def name(self) -> str:
        """What names it among others: its entry, and its row in a batch, from 1."""
        row = "" if self.row is None else f"-row-{self.row.row.index + 1}"
        return f"entry-{self.index}{row}"

    @property
    def answered(self) -> bool:
        """Whether an answer was given."""
        return self.reason is None

    @property
    def digest(self) -> str:
        """By which the use is named."""
        return self.word.statement.digest

    @property
    def bits(self) -> float:
        """The most bits that this answer can have told beyond what was asked before."""
        return bits_told(self.charges)

    @property
    def epsilon(self) -> Decimal:
        """What was charged for numbers with noise, whatever became of them."""
        if self.privacy is None or self.reason in {Reason.PRICE_ONLY, Reason.OVER_BUDGET}:
            return Decimal(0)  # it says what would be
        return self.privacy.charged
