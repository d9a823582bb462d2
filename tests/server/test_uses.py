"""Who is shown which uses, at the room's real services."""

from __future__ import annotations

import grpc
import pytest

from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason
from saferoom_proto.rpc_errors import from_rpc_error
from saferoom_proto.statements import (
    CheckRequest,
    Purpose,
    Refusal,
    Release,
    load,
    seal_statement,
)
from saferoom_proto.v1 import use_pb2
from saferoom_proto.wire import envelope_from_proto, recorded_from_proto
from tests.server.conftest import Ready
from tests.server.room.opened import SECONDS, Calls, OpenedRoom, until


async def uses(calls: Calls, before: int = 0, limit: int = 100) -> use_pb2.ListUsesResponse:
    request = use_pb2.ListUsesRequest(before=before, limit=limit)
    return await calls.uses.ListUses(request, timeout=SECONDS)


async def asked(calls: Calls) -> list[str | None]:
    """Give the questions of the uses that are listed, the newest first."""
    return [
        envelope_from_proto(each.request).digest if each.HasField("request") else None
        for each in (await uses(calls)).uses
    ]


async def refused(room: OpenedRoom, bank: str, question: Envelope) -> Reason:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await room.ask(bank, question)
    return from_rpc_error(caught.value).reason


async def test_a_use_is_listed_for_its_subject_and_its_owner_and_nobody_else(ready: Ready) -> None:
    said, room = ready.sample, ready.room
    question = ready.question()
    await room.ask("bank-a", question)
    subject = room.subject_calls(said.world.subject(1))
    for calls in (subject, room.calls("tax")):
        (use,) = (await uses(calls)).uses
        word = recorded_from_proto(use.word)
        release = load(word.statement, Release)
        assert (release.owner, release.request) == ("tax", question.digest)
        assert envelope_from_proto(use.request).digest == question.digest
        assert b"sealed" not in use.SerializeToString()
    for stranger in (room.subject_calls(said.world.subject(2)), room.calls("court")):
        assert not (await uses(stranger)).uses


@pytest.mark.parametrize("name", ["bank-a", "bank-b", "operator"])
async def test_who_is_neither_subject_nor_owner_lists_no_uses(ready: Ready, name: str) -> None:
    await ready.room.ask("bank-a", ready.question())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await uses(ready.room.calls(name))
    assert from_rpc_error(caught.value).reason is Reason.NOT_ALLOWED


async def test_refusals_are_uses_too_the_enclaves_and_the_rooms(ready: Ready) -> None:
    said, room = ready.sample, ready.room
    room.behave("tax", refuse="NO_CONSENT")
    by_enclave = ready.question()
    assert await refused(room, "bank-a", by_enclave) is Reason.NO_CONSENT
    room.behave("tax", plain="LOCKED")
    in_its_place = ready.question()
    assert await refused(room, "bank-a", in_its_place) is Reason.LOCKED
    by_room = said.question(purpose=Purpose.SUPERVISION)
    assert await refused(room, "bank-a", by_room) is Reason.WRONG_PURPOSE
    listed = (await uses(room.subject_calls(said.world.subject(1)))).uses
    words = [recorded_from_proto(each.word).statement for each in listed]
    assert [load(each, Refusal).reason for each in words[:2]] == ["WRONG_PURPOSE", "LOCKED"]
    assert load(words[2], Release).reason is Reason.NO_CONSENT
    assert [envelope_from_proto(each.request) for each in listed] == [
        by_room,
        in_its_place,
        by_enclave,
    ]
    # The room refused the last one before it asked any owner.
    assert await asked(room.calls("tax")) == [in_its_place.digest, by_enclave.digest]


async def test_uses_come_page_by_page_without_a_gap(ready: Ready) -> None:
    calls = ready.room.subject_calls(ready.sample.world.subject(1))
    questions = [ready.question() for _ in range(5)]
    for question in questions:
        await ready.room.ask("bank-a", question)
    seen: list[str] = []
    before = 0
    while True:
        page = await uses(calls, before, limit=2)
        seen += [envelope_from_proto(each.request).digest for each in page.uses]
        before = page.next
        if not before:
            break
    assert seen == [question.digest for question in reversed(questions)]


async def test_a_question_that_is_none_is_in_nobodys_list(ready: Ready) -> None:
    """Else whoever may ask could enter uses under an owner's name, or fill the disk."""
    said, room = ready.sample, ready.room
    request = load(said.question(), CheckRequest)
    for subject in ("court", "tax", "X" * 18):
        made_up = request.model_copy(update={"subject": subject})
        question = seal_statement(made_up, said.bank.key)
        room.behave("tax", plain="MALFORMED_SUBJECT")
        await refused(room, "bank-a", question)
        assert not (await uses(room.calls("court"))).uses
    assert await asked(room.calls("tax")) == [None, None, None]


async def test_a_question_in_anothers_name_is_no_use_of_its_subject(ready: Ready) -> None:
    said, room = ready.sample, ready.room
    assert await refused(room, "bank-b", ready.question()) is Reason.NOT_ALLOWED
    assert not (await uses(room.subject_calls(said.world.subject(1)))).uses


async def test_what_a_crash_left_without_its_question_gets_it_when_it_is_asked_again(
    ready: Ready,
) -> None:
    said, room = ready.sample, ready.room
    room.behave("tax", exit_in_judge=True)
    question = ready.question()
    await refused(room, "bank-a", question)
    subject = room.subject_calls(said.world.subject(1))
    refusal = await asked(subject)
    assert refusal == [question.digest]

    async def recorded_late() -> bool:
        return len(await asked(room.calls("tax"))) == 2

    await until(recorded_late)
    await room.until_state("tax", "serving")
    await room.ask("bank-a", question)
    assert await asked(subject) == [question.digest, question.digest]
    assert await asked(room.calls("tax")) == [question.digest, question.digest]
