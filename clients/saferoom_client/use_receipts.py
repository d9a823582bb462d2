"""Receipts of uses, put together for whoever is shown them."""

from __future__ import annotations

from saferoom_client.session import Session
from saferoom_client.use import Use
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Template, load
from saferoom_proto.use_receipt import USE_WORDS, UseReceipt, verify_use_receipt


async def use_receipt(session: Session, use: Use) -> UseReceipt:
    """Put together the receipt of a use at an owner, and verify it as its readers will.

    Raises:
        SafeRoomError: `UNKNOWN_STATEMENT` for a refusal of the room's own: no enclave spoke.
    """
    statement = use.word.statement
    kind = USE_WORDS.get(statement.payload_type)
    if kind is None:
        raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "no enclave's word, so no receipt")
    said = load(statement, kind)
    fetch = session.grounds.statement
    charter = await fetch(said.charter)
    receipt = UseReceipt(
        charter=_text(charter),
        endorsement=_text(await fetch(said.endorsement)),
        word=_text(statement),
        salt=b64(use.word.salt),
        proof=use.word.proof,
        question=None if use.question is None else _text(use.question),
        row=use.row,
        handovers=session.grounds.handovers_to(said.owner, charter),
    )
    verify_use_receipt(receipt, session.profile.trust)
    return receipt


async def template_of(session: Session, digest: str) -> Template:
    """Give the template that a use names by its digest."""
    return load(await session.grounds.statement(digest), Template)


def _text(envelope: Envelope) -> str:
    return envelope.to_json().decode()
