"""A blind match is kept like any question: what is lost on the way is asked again."""

from __future__ import annotations

from pathlib import Path

import pytest

from saferoom_client.aio import AsyncRoom
from saferoom_client.issuer import Issuer
from saferoom_client.question import Question
from saferoom_client.refused import Refused
from saferoom_proto.answer import Truth
from saferoom_proto.blind import CIPHERTEXT_BYTES, MODULUS_BITS, Offer
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import unb64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import CheckRequest, load
from saferoom_proto.wire import Part
from tests.client.fakeroom import Said, serving
from tests.client.made import make_blind_case, make_profile

MODULUS = (1 << MODULUS_BITS - 1) + 15
"""No small factor; what an enclave would read of it is not asked here."""


async def test_what_is_lost_of_a_blind_match_is_asked_again(issuer: Issuer, tmp_path: Path) -> None:
    case = make_blind_case()
    said, reply = Said(case), case.world.bank("bank-a").reply
    kept, refused, sent = list[Question](), list[Reason](), list[Envelope]()

    def parts(envelope: Envelope) -> list[Part]:
        question = Question(envelope, load(envelope, CheckRequest), reply)
        sent.append(envelope)
        if question.request.match is not None:
            return [case.answer(question, "tax", Truth.YES)]
        # The room does not get to the second message.
        said.refusal, said.refusals = SafeRoomError(Reason.OUTBOX_WAITING, "lost"), 1_000
        return [case.answer(question, "tax", Offer(MODULUS, 2).to_answer(bytes(32)))]

    said.parts = parts
    async with serving(said, issuer) as card:
        profile = make_profile(tmp_path / "bank", case, issuer, card)
        async with AsyncRoom(profile, clock=case.world.now, deadline_seconds=2) as room:
            first = await room.prepare(
                "steady",
                subject=case.world.subject(1).uscc,
                purpose="pre-loan",
                params={"number": "0571-8888"},
                blind=True,
            )
            # Kept before anything is sent, and read back: it matches the same value.
            first = Question.from_json(first.to_json())
            with pytest.raises(Refused) as lost:
                await room.ask(first, kept.append)
            refused.append(lost.value.reason)
            said.refusal = None
            (second,) = kept
            answer = await room.ask(Question.from_json(second.to_json()))
    assert refused == [Reason.OUTBOX_WAITING]
    assert [each.digest for each in sent] == [first.request_id, second.request_id]
    match = second.request.match
    assert match is not None
    assert (match.offer, len(unb64(match.ciphertext))) == (first.request_id, CIPHERTEXT_BYTES)
    assert (answer.truth, answer.request_id) == (Truth.YES, second.request_id)
