"""Disputes: a subject says that something is wrong, and its owner what came of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints, model_validator

from saferoom_proto.batch import MOST_ROWS
from saferoom_proto.statements.base import (
    Base64,
    Digest,
    Instant,
    Name,
    Nonce,
    Owner,
    Payload,
    Text,
    Usage,
    Uscc,
)
from saferoom_proto.statements.enclave import Count

FieldName = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}\.[a-z][a-z0-9_]{0,62}$")
]
"""A column of an owner's store: `table.column`."""

ANSWERED_WITHIN = timedelta(days=20)
"""Within which whoever holds the record looks into it, acts, and answers in writing: Regulation on
the Administration of the Credit Reporting Industry (State Council of China, 2013), article 25."""


def _is_none(value: object) -> bool:
    return value is None


class Dispute(Payload):
    """A subject says that a use, or something held about it, is wrong (异议)."""

    KIND: ClassVar[str] = "dispute"
    SIGNED_BY: ClassVar[Usage] = Usage.SUBJECT

    owner: Owner
    """To whom it goes: whose enclave was asked, or who holds it."""
    subject: Uscc
    certificate: Base64
    use: Digest | None
    """The release or refusal that it is about, or none."""
    row: Annotated[int | None, Field(ge=0, lt=MOST_ROWS, exclude_if=_is_none)] = None
    """Where the use is a batch: the row, from 0. Not in the payload where there is none."""
    field: FieldName | None
    """The column that it is about, or none."""
    words: Text
    nonce: Nonce
    at: Instant

    @property
    def due(self) -> datetime:
        """Until when its owner settles it."""
        return self.at + ANSWERED_WITHIN

    @model_validator(mode="after")
    def _about_one_thing(self) -> Dispute:
        if (self.use is None) == (self.field is None):
            raise ValueError("it is about a use or about a field, and not about both")
        if self.row is not None and self.use is None:
            raise ValueError("a row is one of a batch, which is the use")
        return self


class Finding(StrEnum):
    """What came of a dispute."""

    CORRECTED = "corrected"
    """It was wrong, and is not any more."""
    STANDS = "stands"
    """The owner looked into it and finds it right as it is."""
    PASSED_ON = "passed-on"
    """Somebody else has to look into it; the dispute stays open until that is answered, too."""


class DisputeAnswer(Payload):
    """An approver tells a subject what came of its dispute. The newest answer counts."""

    KIND: ClassVar[str] = "dispute-answer"
    SIGNED_BY: ClassVar[Usage] = Usage.APPROVER

    owner: Owner
    approver: Name
    charter: Digest
    """Under which the approver speaks: the next one may name others."""
    subject: Uscc
    dispute: Digest
    finding: Finding
    epoch: Count | None
    """The snapshot period from which on the correction is answered from, if data was reloaded."""
    words: Text
    at: Instant

    @model_validator(mode="after")
    def _of_its_finding(self) -> DisputeAnswer:
        if self.epoch is not None and self.finding is not Finding.CORRECTED:
            raise ValueError("only what was corrected is answered from another period")
        return self


class DisputeWithdrawal(Payload):
    """A subject takes its own dispute back."""

    KIND: ClassVar[str] = "dispute-withdrawal"
    SIGNED_BY: ClassVar[Usage] = Usage.SUBJECT

    owner: Owner
    subject: Uscc
    certificate: Base64
    dispute: Digest
    at: Instant
