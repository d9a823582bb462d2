"""Uses as a room lists them: nothing is shown that does not verify, or concerns somebody else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from saferoom_client.aio import AsyncRoom
from saferoom_proto.dsse import Envelope
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import CheckRequest, Refusal, seal_statement
from saferoom_proto.v1 import use_pb2
from saferoom_proto.wire import Recorded, envelope_to_proto, recorded_to_proto
from tests.client.fakeroom import Said


def use(word: Recorded, question: Envelope | None) -> use_pb2.Use:
    message = use_pb2.Use(word=recorded_to_proto(word))
    if question is not None:
        message.request.CopyFrom(envelope_to_proto(question))
    return message


def refusal(said: Said, question: Envelope, key: SigningKey, **changes: object) -> Recorded:
    world = said.case.world
    payload = Refusal(
        room=world.room,
        request=question.digest,
        institution="bank-a",
        owner=None,
        reason=Reason.WRONG_PURPOSE,
        time=world.now(),
    ).model_copy(update=changes)
    return world.ledger.recorded(seal_statement(payload, key))


async def reason_of(room: AsyncRoom) -> Reason:
    with pytest.raises(SafeRoomError) as refused:
        await room.list_uses()
    return refused.value.reason


async def test_answers_and_refusals_are_verified_and_told(subject: AsyncRoom, said: Said) -> None:
    case = said.case
    question = case.question()
    answered = case.answer(question, "tax").release
    refused = case.answer(question, "court", Reason.NO_CONSENT).release
    by_room = refusal(said, question.envelope, case.world.heads)
    said.uses = [use(each, question.envelope) for each in (by_room, refused, answered)]
    page = await subject.list_uses()
    assert [each.owner for each in page.uses] == [None, "court", "tax"]
    assert [each.reason for each in page.uses] == ["WRONG_PURPOSE", "NO_CONSENT", None]
    assert [each.answered for each in page.uses] == [False, False, True]
    assert [each.bits for each in page.uses] == [0, 0, 1]
    told = page.uses[2].request
    assert isinstance(told, CheckRequest)
    assert (told.purpose, told.params) == ("pre-loan", {"least": "5000"})
    assert (page.next, page.unpinned) == (None, {})


async def test_an_owner_whose_root_is_not_pinned_is_named_and_not_shown(
    subject: AsyncRoom, said: Said
) -> None:
    question = said.case.question()
    words = [said.case.answer(question, owner).release for owner in ("court", "tax")]
    said.uses = [use(each, question.envelope) for each in reversed(words)]
    roots = {"court": subject.profile.trust.charter_roots["court"]}
    trust = subject.profile.trust.model_copy(update={"charter_roots": roots})
    subject.profile = replace(subject.profile, trust=trust)
    page = await subject.list_uses()
    assert [each.owner for each in page.uses] == ["court"]
    assert page.unpinned == {"tax": 1}


async def test_a_use_of_a_made_up_enclave_is_refused(subject: AsyncRoom, said: Said) -> None:
    question = said.case.question()
    word = said.case.answer(question, "tax", Reason.NO_CONSENT, SigningKey.generate()).release
    said.uses = [use(word, question.envelope)]
    assert await reason_of(subject) is Reason.BAD_SIGNATURE


async def test_a_refusal_that_the_room_did_not_sign_is_refused(
    subject: AsyncRoom, said: Said
) -> None:
    question = said.case.question()
    said.uses = [use(refusal(said, question.envelope, SigningKey.generate()), question.envelope)]
    assert await reason_of(subject) is Reason.BAD_SIGNATURE


async def test_a_use_that_is_not_in_the_log_is_refused(subject: AsyncRoom, said: Said) -> None:
    question = said.case.question()
    word = replace(said.case.answer(question, "tax").release, salt=bytes(32))
    said.uses = [use(word, question.envelope)]
    assert await reason_of(subject) is Reason.BAD_PROOF


@pytest.mark.parametrize("other", ["question", "subject", "institution"])
async def test_a_use_with_another_question_than_was_asked_is_refused(
    subject: AsyncRoom, said: Said, other: str
) -> None:
    case = said.case
    question = case.question()
    shown = question.envelope
    match other:
        case "question":
            shown = case.question().envelope
            word = case.answer(question, "tax").release
        case "subject":
            question = case.question(subject=case.world.subject(2).uscc)
            shown, word = question.envelope, case.answer(question, "tax").release
        case _:
            word = case.answer(question, "tax", institution="bank-b").release
    said.uses = [use(word, shown)]
    assert await reason_of(subject) is Reason.BAD_PROOF


async def test_a_use_without_its_question_is_not_a_subjects(subject: AsyncRoom, said: Said) -> None:
    said.uses = [use(said.case.answer(said.case.question(), "tax").release, None)]
    assert await reason_of(subject) is Reason.BAD_PROOF


async def test_a_bank_is_shown_no_uses_whatever_the_room_lists(room: AsyncRoom, said: Said) -> None:
    question = said.case.question()
    said.uses = [use(said.case.answer(question, "tax").release, question.envelope)]
    assert await reason_of(room) is Reason.BAD_PROOF


@pytest.mark.parametrize("fault", ["order", "twice", "gap"])
async def test_pages_out_of_order_or_with_a_gap_are_refused(
    subject: AsyncRoom, said: Said, fault: str
) -> None:
    case = said.case
    question = case.question()
    words = [case.answer(question, "tax").release for _ in range(2)]
    listed = {"order": words, "twice": [words[1]] * 2, "gap": words[::-1]}[fault]
    said.uses = [use(each, question.envelope) for each in listed]
    said.next_uses = 1 if fault == "gap" else 0
    assert await reason_of(subject) is Reason.BAD_PROOF
