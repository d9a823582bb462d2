"""One row of a batch as its subject is shown it: what was asked, and what became of it.

The enclave's word on the batch holds one root over all outcomes. A row comes with its salt and the
hashes beside its way to that root, so it verifies alone, and tells nothing of any other row but how
many there were.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

from pydantic import Field

from saferoom_proto.batch import (
    MOST_PARAMETERS,
    MOST_ROWS,
    SALT_BYTES,
    JudgedRows,
    Record,
    Row,
    When,
)
from saferoom_proto.batch_receipt import moment_of
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import digest_bytes, unb64
from saferoom_proto.merkle import verify_inclusion
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import BatchRelease, BatchRequest, load
from saferoom_proto.statements.base import Base64, Part, Uscc
from saferoom_proto.suite import Suite

DEEPEST: Final = 20
"""Hashes beside one row's way to the root: 2**20 is more than a million."""


class HeldRow(Part):
    """A row of a batch about a subject.

    Attributes:
        index: its place in the batch, from 0.
        parameters: the number of its set of parameters.
        when: the time and the place in the stream at which it was judged, 16 bytes.
        record: what became of it.
        salt: of its leaf.
        path: from its leaf to the root that the enclave's word holds.
    """

    index: Annotated[int, Field(ge=0, lt=MOST_ROWS)]
    parameters: Annotated[int, Field(ge=0, lt=MOST_PARAMETERS)]
    when: Base64
    record: Base64
    salt: Base64
    path: Annotated[tuple[Base64, ...], Field(max_length=DEEPEST)]


class SubjectRow(Part):
    """A row of a batch, and whom it is about."""

    subject: Uscc
    row: HeldRow

    def record(self, suite: Suite) -> Record:
        """Read what became of it, in a batch of a suite."""
        return Record.from_bytes(unb64(self.row.record), suite)

    @property
    def judged_at(self) -> datetime:
        """When it was judged."""
        return moment_of(When.from_bytes(unb64(self.row.when)))


def verify_row(word: BatchRelease, question: Envelope, shown: SubjectRow) -> None:
    """Verify that a row about a subject stands in a batch, under an enclave's verified word.

    Args:
        word: the enclave's, whose signature was verified.
        question: the batch as it was asked.
        shown: the row, and whom it is said to be about.

    Raises:
        SafeRoomError: `MALFORMED`; `BAD_PROOF` for another batch, another subject's row, or an
            outcome that the word does not hold.
    """
    # Step 1: the batch that the word is about.
    request = load(question, BatchRequest)
    asked = (question.digest, request.room, request.institution, request.template)
    if asked != (word.request, word.room, word.institution, word.template):
        raise SafeRoomError(Reason.BAD_PROOF, "the word is on another batch")
    if word.root is None or word.answered + word.refused != request.rows:
        raise SafeRoomError(Reason.BAD_PROOF, "a batch whose rows were not judged")
    row = shown.row
    # Step 2: the row's own outcome, under the root.
    if row.parameters >= len(request.params):
        raise SafeRoomError(Reason.MALFORMED, "a row names no parameters of its batch")
    salt, record = unb64(row.salt), unb64(row.record)
    if len(salt) != SALT_BYTES:
        raise SafeRoomError(Reason.MALFORMED, f"a row's salt has {SALT_BYTES} bytes")
    when = When.from_bytes(unb64(row.when))
    judged = JudgedRows(
        row.index, Row(shown.subject, row.parameters).to_bytes(), when.to_bytes(), record
    )
    (leaf,) = judged.leaves(salt, word.request)
    path = [unb64(each) for each in row.path]
    root = digest_bytes(word.root)
    verify_inclusion(row.index, request.rows, leaf, path, root, suite=question.suite)
    Record.from_bytes(record)
