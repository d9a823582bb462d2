"""Receipts of one owner's word that came with something sealed: what all of them show alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from saferoom_proto.certificate import ReleaseCertificate
from saferoom_proto.checkpoint import Checkpoint
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import unb64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.receipt import (
    open_charters,
    open_template,
    require_about,
    require_approved,
    require_pinned,
    require_same,
    verify_features,
    verify_recorded,
)
from saferoom_proto.receipt_part import OwnFeatures, SaidPart
from saferoom_proto.statements import (
    FitRelease,
    FitRequest,
    JobAdmission,
    ListRequest,
    Outcome,
    Release,
    TableRelease,
    TableRequest,
    Template,
    load,
)
from saferoom_proto.trust import Trust
from saferoom_proto.verification import (
    verify_agreement,
    verify_by_enclave,
    verify_endorsement,
    verify_request,
)

Ask = TypeVar("Ask", TableRequest, FitRequest, ListRequest)
Word = TypeVar("Word", TableRelease, FitRelease, Release, JobAdmission)


class SealedReceipt(SaidPart, Protocol):
    """What such a file holds. Envelopes are DSSE JSON documents, as text."""

    @property
    def request(self) -> str:
        """What was asked."""
        ...

    @property
    def template(self) -> str:
        """The template."""
        ...

    @property
    def certificate(self) -> str:
        """The release certificate's payload."""
        ...


@dataclass(frozen=True, slots=True)
class Heard(Generic[Word]):
    """One owner's word, verified, and its place in the log."""

    release: Word
    checkpoint: Checkpoint
    index: int


@dataclass(frozen=True, slots=True)
class Said(Generic[Ask, Word]):
    """What was asked and said, verified."""

    request: Ask
    request_id: str
    template: Template
    certificate: ReleaseCertificate
    release: Word
    checkpoint: Checkpoint
    index: int


def verify_said(
    receipt: SealedReceipt,
    trust: Trust,
    asked: type[Ask],
    word: type[Word],
    others: Sequence[OwnFeatures] = (),
) -> Said[Ask, Word]:
    """Verify all but what was sealed, offline.

    Args:
        receipt: what the file holds.
        trust: the keys that its reader pinned.
        asked: the kind of the request.
        word: the kind of the enclave's word.
        others: of several owners, what the receipt holds of the others'.

    Raises:
        SafeRoomError: the reason names the first step that fails.
    """
    # Step 1: the request. Its signature is checked against the agreement below.
    request_envelope, request = open_request(receipt.request, trust, asked)
    # Step 2: the template, and its release certificate derived anew from the pinned features.
    named = (request.template, request.certificate)
    template, certificate = open_template(
        receipt.template, receipt.certificate, [receipt, *others], named
    )
    # Steps 3 to 6: the enclave's word.
    heard = verify_heard(receipt, request_envelope, certificate, trust, (asked, word))
    said = (heard.release, heard.checkpoint, heard.index)
    return Said(request, request_envelope.digest, template, certificate, *said)


def open_request(text: str, trust: Trust, asked: type[Ask]) -> tuple[Envelope, Ask]:
    """Open a receipt's request, of the pinned room; whose it is, the agreement shows later.

    Raises:
        SafeRoomError: `MALFORMED`; `BAD_PROOF` for one of another room.
    """
    envelope = Envelope.from_text(text)
    request = load(envelope, asked)
    if request.room != trust.origin:
        raise SafeRoomError(Reason.BAD_PROOF, "a receipt of another room")
    return envelope, request


def verify_heard(
    receipt: SaidPart,
    request_envelope: Envelope,
    certificate: ReleaseCertificate,
    trust: Trust,
    kinds: tuple[type[Ask], type[Word]],
) -> Heard[Word]:
    """Verify one owner's word on a request, offline; steps 3 to 6 of `verify_said`.

    Args:
        receipt: the owner's part of what the file holds.
        request_envelope: the request.
        certificate: its template's, derived anew.
        trust: the keys that its reader pinned.
        kinds: of the request, and of the enclave's word.

    Raises:
        SafeRoomError: the reason names the first step that fails.
    """
    asked, word = kinds
    request = load(request_envelope, asked)
    # Step 3: the charter under its pinned root; the enclave's key under the charter; its word.
    charter = open_charters(receipt.owner, receipt.charters, trust, receipt.handovers)
    endorsement_envelope = Envelope.from_text(receipt.endorsement)
    statement = Envelope.from_text(receipt.release)
    moment = load(statement, word).time
    endorsement = verify_endorsement(endorsement_envelope, charter, moment)
    release = verify_by_enclave(statement, endorsement, endorsement_envelope.digest, word)
    require_about(release, request_envelope.digest, request, charter)
    # Step 4: who asked, refused or not: an agreement's key signed the request.
    agreement_envelope = Envelope.from_text(receipt.agreement)
    agreement = verify_agreement(agreement_envelope, charter)
    require_same(release.agreement, agreement_envelope.digest, "agreement")
    verify_request(request_envelope, asked, agreement, moment)
    verify_features(receipt, charter, certificate)
    # Step 5: what allowed it.
    if isinstance(release, JobAdmission) or release.outcome is Outcome.ANSWERED:
        agreement.agreement.require_valid(moment)
        require_approved(receipt.approvals, release.approvals, charter, certificate)
        require_pinned(charter, certificate.part(receipt.owner))
    # Step 6: its place in the log.
    checkpoint, index = verify_recorded(statement.digest, unb64(receipt.salt), receipt.proof, trust)
    return Heard(release, checkpoint, index)
