"""The statements behind an answer, kept together until somebody wants them as a receipt."""

from __future__ import annotations

from dataclasses import dataclass, field

from saferoom_proto.certificate import ReleaseCertificate
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.receipt import Receipt, ReceiptPart
from saferoom_proto.wire import Recorded


@dataclass(frozen=True, slots=True)
class PartEvidence:
    """One owner's word on a request, and all that its verification needs.

    Attributes:
        owner: whose enclave spoke.
        charter: the charter it runs under.
        features: of this owner, as the release certificate pins them.
        approvals: those that its release names; none for a refusal before they were looked at.
        agreement: likewise.
        consent: likewise; none where the part needs none.
        endorsement: the key agent's word for the enclave's keys.
        release: the enclave's word, with its place in the log.
        answer: the opened 50 bytes; none for a refusal.
        handovers: that led to the charter's root, as text.
    """

    owner: str
    charter: Envelope
    features: tuple[Envelope, ...]
    approvals: tuple[Envelope, ...]
    agreement: Envelope
    consent: Envelope | None
    endorsement: Envelope
    release: Recorded
    answer: bytes | None = field(repr=False)
    handovers: tuple[str, ...] = ()

    def receipt_part(self) -> ReceiptPart:
        """Write the part as a receipt holds it."""
        return ReceiptPart(
            owner=self.owner,
            charters=(_text(self.charter),),
            features=tuple(_text(each) for each in self.features),
            approvals=tuple(_text(each) for each in self.approvals),
            agreement=_text(self.agreement),
            consent=None if self.consent is None else _text(self.consent),
            endorsement=_text(self.endorsement),
            release=_text(self.release.statement),
            salt=b64(self.release.salt),
            proof=self.release.proof,
            answer=None if self.answer is None else b64(self.answer),
            handovers=self.handovers,
        )


@dataclass(frozen=True, slots=True)
class CheckEvidence:
    """All parts of one request."""

    request: Envelope
    template: Envelope
    certificate: ReleaseCertificate
    parts: tuple[PartEvidence, ...]

    def receipt(self) -> Receipt:
        """Write the receipt."""
        return Receipt(
            request=_text(self.request),
            template=_text(self.template),
            certificate=self.certificate.to_bytes().decode(),
            parts=tuple(part.receipt_part() for part in self.parts),
        )


def _text(envelope: Envelope) -> str:
    return envelope.to_json().decode()
