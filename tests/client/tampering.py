"""A whole receipt, and every way to tamper with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pytest

from saferoom_client.question import Question
from saferoom_proto.dsse import Envelope, Signature
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.receipt import Receipt, verify_receipt
from saferoom_proto.trust import Trust
from saferoom_proto.wire import Part
from tests.client.made import Case, make_case

BROKEN: Final = {
    "charter": Reason.BAD_CHARTER,
    "endorsement": Reason.BAD_ENDORSEMENT,
    "release": Reason.BAD_SIGNATURE,
    "agreement": Reason.BAD_SIGNATURE,
    "consent": Reason.BAD_SIGNATURE,
}
"""Why each envelope of a part is refused under another signature."""


@dataclass(frozen=True, slots=True)
class Told:
    """A case, its question, its parts and its receipt."""

    case: Case
    question: Question
    parts: dict[str, Part]
    receipt: Receipt

    @property
    def trust(self) -> Trust:
        return self.case.world.trust()


def told(case: Case | None = None) -> Told:
    case = case or make_case()
    question = case.question()
    parts = {owner: case.answer(question, owner) for owner in ("court", "tax")}
    return Told(case, question, parts, case.receipt(question, parts))


def altered(receipt: Receipt, **changes: object) -> Receipt:
    """Change fields of the second part, which is that of `tax`."""
    if "charter" in changes:
        changes["charters"] = (changes.pop("charter"),)
    parts = (receipt.parts[0], receipt.parts[1].model_copy(update=changes))
    return receipt.model_copy(update={"parts": parts})


def text_in(receipt: Receipt, name: str) -> str:
    """Read an envelope of the part of `tax`."""
    part = receipt.parts[1]
    return part.charters[-1] if name == "charter" else getattr(part, name)


def resigned(text: str) -> str:
    """Sign the same bytes with a key of one's own."""
    envelope = Envelope.from_json(text.encode())
    key = SigningKey.generate()
    signature = Signature(key.verify_key.keyid, key.sign(envelope.pae))
    return text_of(Envelope(envelope.payload_type, envelope.payload, (signature,)))


def flipped(text: str) -> str:
    """Turn one bit of every signature."""
    envelope = Envelope.from_json(text.encode())
    signatures = tuple(
        Signature(one.keyid, bytes([one.sig[0] ^ 1]) + one.sig[1:]) for one in envelope.signatures
    )
    return text_of(Envelope(envelope.payload_type, envelope.payload, signatures))


def reworded(text: str, old: str, new: str) -> str:
    """Change a word of what was signed, leaving the signatures."""
    envelope = Envelope.from_json(text.encode())
    payload = envelope.payload.replace(old.encode(), new.encode())
    assert payload != envelope.payload
    return text_of(Envelope(envelope.payload_type, payload, envelope.signatures))


def text_of(envelope: Envelope) -> str:
    return envelope.to_json().decode()


def reason_of(receipt: Receipt, trust: Trust) -> Reason:
    with pytest.raises(SafeRoomError) as refused:
        verify_receipt(receipt, trust)
    return refused.value.reason
