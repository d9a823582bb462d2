"""A pause ends only by as many approvers as approve: not by one, nor by one who says it twice."""

from __future__ import annotations

import pytest

from saferoom_proto.answer import Truth
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import Pause, load, seal_statement
from simulator import EnclaveHarness, Sample


@pytest.fixture(autouse=True)
def stopped(room: Sample, enclave: EnclaveHarness) -> Envelope:
    """Have one approver stop all use."""
    pause = room.tax.pause(approver="chen")
    room.world.clock.advance(1)
    enclave.follow()
    assert asked(room, enclave) is Reason.PAUSED
    return pause


def asked(room: Sample, enclave: EnclaveHarness) -> Reason | Truth | None:
    verdict = enclave.ask(room.question())
    return verdict.reason or verdict.truth


def resumed(room: Sample, enclave: EnclaveHarness, *approvers: str) -> Reason | Truth | None:
    """Have approvers say, one after the other, that use may go on; gives what comes of it."""
    for each in approvers:
        room.tax.pause(paused=False, approver=each)
        room.world.clock.advance(1)
    enclave.follow()
    return asked(room, enclave)


def test_one_approver_who_says_it_twice_is_one(room: Sample, enclave: EnclaveHarness) -> None:
    assert resumed(room, enclave, "li", "li", "li") is Reason.PAUSED
    enclave.restart()
    assert asked(room, enclave) is Reason.PAUSED
    assert resumed(room, enclave, "wang") is Truth.YES
    enclave.restart()
    assert asked(room, enclave) is Truth.YES


def test_a_word_signed_by_another_approver_than_it_names_does_not_count(
    room: Sample, enclave: EnclaveHarness, stopped: Envelope
) -> None:
    says = load(stopped, Pause).model_copy(update={"paused": False, "at": room.world.now()})
    for name in ("li", "wang"):
        forged = says.model_copy(update={"approver": name})
        room.world.publish(seal_statement(forged, room.tax.approvers["chen"]), "tax")
    assert resumed(room, enclave, "chen") is Reason.PAUSED


def test_words_of_before_the_stop_are_not_counted_again(
    room: Sample, enclave: EnclaveHarness
) -> None:
    assert resumed(room, enclave, "li", "wang") is Truth.YES
    words = room.world.streams["tax"].statements[-2:]
    room.tax.pause(approver="li")
    room.world.clock.advance(1)
    for each in words:
        room.world.streams["tax"].append(each)
    enclave.follow()
    assert asked(room, enclave) is Reason.PAUSED
    assert resumed(room, enclave, "chen") is Reason.PAUSED


def test_another_owner_s_approvers_let_nothing_go_on(room: Sample, enclave: EnclaveHarness) -> None:
    for each in ("li", "wang"):
        says = room.court.pause(paused=False, approver=each)
        room.world.streams["tax"].append(says)
        said = load(says, Pause).model_copy(update={"owner": "tax"})
        room.world.publish(seal_statement(said, room.court.approvers[each]), "tax")
    enclave.follow()
    assert asked(room, enclave) is Reason.PAUSED


def test_letting_one_template_go_on_lets_not_all_go_on(
    room: Sample, enclave: EnclaveHarness
) -> None:
    for each in ("li", "wang"):
        room.tax.pause(room.steady.template, paused=False, approver=each)
    enclave.follow()
    assert asked(room, enclave) is Reason.PAUSED


def test_who_is_an_approver_no_more_lets_nothing_go_on(
    room: Sample, enclave: EnclaveHarness
) -> None:
    assert resumed(room, enclave, "li") is Reason.PAUSED
    gone = room.tax.approvers["wang"]
    room.tax.approvers["wang"] = room.world.seeds.signing("successor of wang")
    word = room.tax.pause(paused=False, approver="wang")
    said = load(word, Pause)
    room.tax.adopt()
    room.world.publish(seal_statement(said, gone), "tax")
    enclave.follow()
    enclave.unlock()
    enclave.follow()
    assert asked(room, enclave) is Reason.PAUSED
