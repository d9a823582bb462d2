"""A use's receipt: one file that shows offline that a question was asked, and what became of it.

It is what a subject or an owner can keep of a use: of a check, a batch, a price, tables, a job, or
that a subject was shown what is held about it. Unlike the asker's own receipt
(`saferoom_proto.receipt`) it holds neither the answer nor what allowed it: those are for the asker
and the owner to show. It needs nothing of the room but the keys that its reader pinned (`Trust`).
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, StringConstraints

from saferoom_proto.asked import Question, open_question
from saferoom_proto.batch import Record
from saferoom_proto.batch_row import SubjectRow, verify_row
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import unb64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.receipt import RECEIPT_LIMIT_BYTES, verify_recorded
from saferoom_proto.receipt_part import Handovers, ReceiptFile
from saferoom_proto.roots import open_under
from saferoom_proto.statements import (
    BatchRelease,
    BatchRequest,
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
    Release,
    TableRelease,
    TableRequest,
    load,
)
from saferoom_proto.statements.base import Base64
from saferoom_proto.suite import suite_of
from saferoom_proto.trust import Trust
from saferoom_proto.verification import verify_by_enclave, verify_endorsement

FORMAT: Final = "saferoom-use/v1"
UseWord = (
    Release
    | BatchRelease
    | CostEstimate
    | Disclosure
    | TableRelease
    | JobAdmission
    | JobRelease
    | FitRelease
)
"""What an enclave says of a use."""
_WORDS: Final[tuple[type[UseWord], ...]] = (
    Release,
    BatchRelease,
    CostEstimate,
    Disclosure,
    TableRelease,
    JobAdmission,
    JobRelease,
    FitRelease,
)
USE_WORDS: Final[Mapping[str, type[UseWord]]] = MappingProxyType(
    {kind.payload_type(): kind for kind in _WORDS}
)
"""Its kinds by their payload types."""
_QUESTIONS: Final[Mapping[type[UseWord], tuple[type[Question], ...]]] = MappingProxyType(
    {
        Release: (CheckRequest, ListRequest),
        BatchRelease: (BatchRequest,),
        CostEstimate: (CostRequest,),
        TableRelease: (TableRequest,),
        # At a giver a training in the room is a job.
        JobAdmission: (JobRequest, FitRequest),
        JobRelease: (JobRequest, FitRequest),
        FitRelease: (FitRequest,),
    }
)
_Text = Annotated[str, StringConstraints(min_length=2, max_length=512 * 1024)]


class UseReceipt(ReceiptFile[Literal["saferoom-use/v1"]]):
    """What the file holds. Envelopes are DSSE JSON documents, as text."""

    most_bytes: ClassVar[int] = RECEIPT_LIMIT_BYTES
    format: Literal["saferoom-use/v1"] = FORMAT
    charter: _Text
    endorsement: _Text
    word: _Text
    """What the enclave said."""
    salt: Base64
    proof: _Text
    question: _Text | None
    """What was asked; none for a disclosure, or where the room no longer has it."""
    row: Annotated[SubjectRow | None, Field(exclude_if=operator.not_)] = None
    """Of a batch, the row about its subject; the other rows are not in the file."""
    handovers: Handovers = ()


@dataclass(frozen=True, slots=True)
class VerifiedUse:
    """What a use's receipt verifiably shows.

    Attributes:
        word: what the enclave said.
        request: the question, if the receipt holds it.
        row: of a batch, the row that the receipt is about; none if it is about the whole.
        index: the word's entry of the log.
        size: of the log that it was shown to stand in.
    """

    word: UseWord
    request: Question | None
    row: SubjectRow | None
    index: int
    size: int

    @property
    def record(self) -> Record | None:
        """What became of the row; none if it is about no row."""
        word = self.word
        if self.row is None or not isinstance(word, BatchRelease):
            return None
        return self.row.record(suite_of(word.request))


def verify_use_receipt(receipt: UseReceipt, trust: Trust) -> VerifiedUse:
    """Verify a use's receipt offline.

    Raises:
        SafeRoomError: the reason names the first step that fails.
    """
    # Step 1: whose enclave, endorsed under which charter.
    statement = Envelope.from_text(receipt.word)
    kind = USE_WORDS.get(statement.payload_type)
    if kind is None:
        raise SafeRoomError(Reason.MALFORMED, f"a {statement.payload_type} is no word on a use")
    said = load(statement, kind)
    charter = open_under(Envelope.from_text(receipt.charter), said.owner, trust, receipt.handovers)
    if charter.digest != said.charter:
        raise SafeRoomError(Reason.BAD_CHARTER, "not the charter that the word names")
    endorsement_envelope = Envelope.from_text(receipt.endorsement)
    endorsement = verify_endorsement(endorsement_envelope, charter, said.time)
    # Step 2: its word, and the place of that in the log.
    word = verify_by_enclave(statement, endorsement, endorsement_envelope.digest, kind)
    checkpoint, index = verify_recorded(statement.digest, unb64(receipt.salt), receipt.proof, trust)
    # Step 3: the question it is about.
    request = (
        None if receipt.question is None else _asked(Envelope.from_text(receipt.question), word)
    )
    # Step 4: the row that it shows of a batch.
    if receipt.row is not None:
        if not isinstance(word, BatchRelease) or receipt.question is None:
            raise SafeRoomError(Reason.BAD_PROOF, "a row without its batch")
        verify_row(word, Envelope.from_text(receipt.question), receipt.row)
    return VerifiedUse(word, request, receipt.row, index, checkpoint.size)


def _asked(question: Envelope, word: UseWord) -> Question:
    if isinstance(word, Disclosure) or question.digest != word.request:
        raise SafeRoomError(Reason.BAD_PROOF, "another question than the word is about")
    request = open_question(question)
    if not isinstance(request, _QUESTIONS[type(word)]):
        raise SafeRoomError(Reason.BAD_PROOF, "a question of another kind than the word is about")
    asked = (request.institution, request.template, request.certificate)
    if asked != (word.institution, word.template, word.certificate):
        raise SafeRoomError(Reason.BAD_PROOF, "the word names another asker or template")
    return request
