"""Requests for consent, and for what is held about a subject."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, ClassVar, Final

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from saferoom_proto.statements.base import (
    Base64,
    Digest,
    FeatureNames,
    Instant,
    Name,
    Nonce,
    Owner,
    Payload,
    ShortText,
    Usage,
    Uscc,
    ValidFor,
    shown_as_written,
)
from saferoom_proto.statements.request import LONGEST_WINDOW, ReplyKey
from saferoom_proto.statements.template import Purposes
from saferoom_proto.suite import suite_of

LONGEST_CONSENT_DAYS: Final = 3 * 366
"""Longer than any loan's review; a consent can be asked for again."""


def _lines(value: str) -> str:
    for line in value.split("\n"):
        shown_as_written(line)
    return value


Lines = Annotated[str, StringConstraints(min_length=1, max_length=8000), AfterValidator(_lines)]
"""A text of several lines, each shown as it is written."""


class ConsentRequest(ValidFor):
    """A bank asks a subject for a consent. It lets nobody do anything; only the consent does.

    It can be answered while it is valid.
    """

    KIND: ClassVar[str] = "consent-request"
    SIGNED_BY: ClassVar[Usage] = Usage.INSTITUTION

    institution: Name
    signer: Base64
    """The X.509 certificate, DER, of the member of the institution who signs it."""
    subject: Uscc
    purposes: Purposes
    features: Annotated[FeatureNames, Field(min_length=1)]
    uses: Annotated[int, Field(ge=1, le=1_000_000)] | None
    days: Annotated[int, Field(ge=1, le=LONGEST_CONSENT_DAYS)]
    """How long the consent is to last from when it is given."""
    why: ShortText
    notice: Digest
    """The digest of the risk notice, which the consent will name."""
    notice_text: Lines
    """The risk notice itself, to be shown before anything is signed."""
    nonce: Nonce

    @model_validator(mode="after")
    def _of_its_notice(self) -> ConsentRequest:
        if suite_of(self.notice).digest(self.notice_text.encode()) != self.notice:
            raise ValueError("the digest is not that of the notice")
        return self


class HoldingsRequest(Payload):
    """A subject asks one owner's enclave for all that it holds about it (本人查询)."""

    KIND: ClassVar[str] = "holdings-request"
    SIGNED_BY: ClassVar[Usage] = Usage.SUBJECT

    owner: Owner
    subject: Uscc
    certificate: Base64
    """The subject's X.509 certificate, DER, from an identity issuer of the charter."""
    nonce: Nonce
    not_before: Instant
    not_after: Instant
    reply_key: ReplyKey
    """Made for this request: what is held is sealed to it."""

    @model_validator(mode="after")
    def _in_order(self) -> HoldingsRequest:
        if not timedelta() < self.not_after - self.not_before <= LONGEST_WINDOW:
            raise ValueError("not_before is before not_after, by at most 10 minutes")
        return self
