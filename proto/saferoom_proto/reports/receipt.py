"""A report's receipt: one file that shows offline what was asked, allowed and told.

It needs nothing from the room: only the keys that its reader pinned when it joined (`Trust`). Each
owner's part stands by itself: one that is missing is named, and takes nothing from the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, model_validator

from saferoom_proto.certificate import ReleaseCertificate, derive_certificate
from saferoom_proto.checkpoint import Checkpoint
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.receipt import verify_said
from saferoom_proto.receipt_part import AskedFile, Handovers
from saferoom_proto.reports.told import MOST_BYTES, OwnerReport, require_told
from saferoom_proto.statements import CheckRequest, Outcome, Release, Template, load
from saferoom_proto.statements.base import Base64, Owner, Part
from saferoom_proto.statements.report import MOST_OWNERS, Report
from saferoom_proto.trust import Trust

FORMAT: Final = "saferoom-report-receipt/v1"
LIMIT_BYTES: Final = 2 * (MOST_OWNERS + 1) * MOST_BYTES
"""The largest parts, written as text within text, and what allowed them."""


class ReportReceiptPart(Part):
    """One owner's part. Envelopes are DSSE JSON documents, as text."""

    owner: Owner
    charters: Annotated[tuple[str, ...], Field(min_length=1, max_length=64)]
    """The charter in force, and before it those that lead to it from the pinned root."""
    approvals: tuple[str, ...]
    agreement: str
    endorsement: str
    release: str
    salt: Base64
    proof: str
    report: str | None
    """What was opened, a JSON document, filled up as it was sealed; none for a refusal."""
    handovers: Handovers = ()

    @property
    def features(self) -> tuple[str, ...]:
        """None: a report reads columns."""
        return ()


class ReportReceipt(AskedFile[Literal["saferoom-report-receipt/v1"]]):
    """What the file holds."""

    most_bytes: ClassVar[int] = LIMIT_BYTES
    format: Literal["saferoom-report-receipt/v1"] = FORMAT
    parts: Annotated[tuple[ReportReceiptPart, ...], Field(min_length=1, max_length=MOST_OWNERS)]

    @model_validator(mode="after")
    def _one_of_each(self) -> ReportReceipt:
        if len({part.owner for part in self.parts}) != len(self.parts):
            raise ValueError("an owner has one part")
        return self


@dataclass(frozen=True, slots=True)
class VerifiedReportPart:
    """What one owner's enclave verifiably said.

    Attributes:
        release: its word.
        told: what it told; none for a refusal.
        checkpoint: the log that the word stands in.
        index: its entry there.
    """

    release: Release
    told: OwnerReport | None
    checkpoint: Checkpoint
    index: int


@dataclass(frozen=True, slots=True)
class VerifiedReport:
    """What a report's receipt verifiably shows.

    Attributes:
        request: what was asked, by whom.
        request_id: its digest.
        template: as it was approved.
        parts: by owner, in order of their names.
        missing: owners of the template of whom the file holds no word.
    """

    request: CheckRequest
    request_id: str
    template: Template
    parts: Mapping[str, VerifiedReportPart]
    missing: tuple[str, ...]


def verify_report_receipt(receipt: ReportReceipt, trust: Trust) -> VerifiedReport:
    """Verify a report's receipt offline.

    Raises:
        SafeRoomError: the reason names the first step that fails.
    """
    # Step 1: the request. Its signature is checked against each owner's agreement below.
    request_envelope = Envelope.from_text(receipt.request)
    request = load(request_envelope, CheckRequest)
    if request.room != trust.origin:
        raise SafeRoomError(Reason.BAD_PROOF, "a receipt of another room")
    # Step 2: the template, and its release certificate, which follows from it alone.
    template, certificate = _template(receipt, request)
    # Step 3: each owner's word, and what it told under its commitment.
    owners = tuple(part.owner for part in certificate.parts)
    parts = {
        part.owner: _verified(part, request_envelope, request, certificate, trust)
        for part in sorted(receipt.parts, key=lambda each: each.owner)
    }
    missing = tuple(owner for owner in owners if owner not in parts)
    return VerifiedReport(request, request_envelope.digest, template, parts, missing)


def require_report(template: Template) -> Report:
    """Give what a report template asks; `NOT_ALLOWED` for one of another kind."""
    if template.report is None:
        raise SafeRoomError(Reason.NOT_ALLOWED, f"{template.name} is no report")
    return template.report


def _template(receipt: ReportReceipt, request: CheckRequest) -> tuple[Template, ReleaseCertificate]:
    envelope = Envelope.from_text(receipt.template)
    template = load(envelope, Template)
    require_report(template)
    derived = derive_certificate(envelope, {})
    if derived.to_bytes() != receipt.certificate.encode():
        raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, "the certificate is not the template's")
    if (request.template, request.certificate) != (envelope.digest, derived.digest):
        raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, "the request names another template")
    return template, derived


def _verified(
    part: ReportReceiptPart,
    request_envelope: Envelope,
    request: CheckRequest,
    certificate: ReleaseCertificate,
    trust: Trust,
) -> VerifiedReportPart:
    asked = certificate.part(part.owner).report
    said = verify_said(part, request_envelope, certificate, trust)
    if asked is None or (part.report is None) != (said.release.outcome is Outcome.REFUSED):
        raise SafeRoomError(Reason.BAD_PROOF, "what was told is missing, or too much")
    told = None
    if part.report is not None:
        told = require_told(said.release, part.report.encode(), request.subject, asked)
    return VerifiedReportPart(said.release, told, said.checkpoint, said.index)
