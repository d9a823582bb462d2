"""A repeat gets the same bytes and is charged once, whatever happened in between."""

from __future__ import annotations

from saferoom_proto import chain
from saferoom_proto.dsse import Envelope, Signature
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Release, load
from simulator import EnclaveHarness, Sample


def test_a_repeat_is_answered_byte_for_byte_and_charged_once(
    room: Sample, enclave: EnclaveHarness
) -> None:
    question = room.question()
    first = enclave.judge(question)
    assert enclave.judge(question) == first
    enclave.restart()
    assert enclave.judge(question) == first
    enclave.kill()
    assert enclave.judge(question) == first
    later = enclave.ask(room.question()).release
    assert later.chain.index == first.entry.chain_index + 1
    assert [charge.cells_before for charge in later.charges] == [3, 2]


def test_a_repeat_within_one_commit_is_the_same_answer(
    room: Sample, enclave: EnclaveHarness
) -> None:
    question = room.question()
    first, second = enclave.enclave.judge([question, question])
    assert first == second
    assert not isinstance(first, SafeRoomError)


def test_a_refusal_is_repeated_too_though_it_would_now_be_answered(
    room: Sample, enclave: EnclaveHarness
) -> None:
    question = room.question(8)
    refused = enclave.judge(question)
    room.consent(8)
    enclave.follow()
    assert enclave.judge(question) == refused
    assert enclave.ask(room.question(8)).reason is None


def test_a_repeat_after_its_window_is_still_the_same_answer(
    room: Sample, enclave: EnclaveHarness
) -> None:
    question = room.question()
    first = enclave.judge(question)
    room.world.clock.advance(3600)
    enclave.follow()
    assert enclave.judge(question) == first
    assert enclave.ask(room.question()).release.chain.index == first.entry.chain_index + 1


def test_the_request_goes_by_what_was_signed_not_by_its_envelope(
    room: Sample, enclave: EnclaveHarness
) -> None:
    question = room.question()
    first = enclave.judge(question)
    stranger = Signature("ed25519:" + "0" * 32, bytes(64))
    decorated = Envelope(question.payload_type, question.payload, (*question.signatures, stranger))
    assert enclave.judge(decorated) == first


def test_a_question_that_failed_with_others_is_judged_alone(
    room: Sample, enclave: EnclaveHarness
) -> None:
    forged = room.question(key=room.other_bank.key)
    good, plain, also = enclave.enclave.judge([room.question(1), forged, room.question(2)])
    assert isinstance(plain, SafeRoomError)
    assert plain.reason is Reason.BAD_SIGNATURE
    assert not isinstance(good, SafeRoomError)
    assert not isinstance(also, SafeRoomError)
    releases = [load(each.entry.statement, Release) for each in (good, also)]
    assert releases[1].chain.index == releases[0].chain.index + 1
    enclave.restart()
    assert enclave.ask(room.question(3)).reason is None


def test_every_entry_stands_in_the_enclaves_chain(room: Sample, enclave: EnclaveHarness) -> None:
    start = enclave.enclave.whereabouts().chain_length
    verdicts = [enclave.ask(room.question(serial)) for serial in (1, 8, 2)]
    links = [verdict.release.chain for verdict in verdicts]
    assert [link.index for link in links] == [start, start + 1, start + 2]
    digests = [verdict.judged.entry.statement.digest for verdict in verdicts]
    assert links[2].previous == chain.head_of(digests[:2], links[0].previous)
