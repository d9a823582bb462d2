"""What is in force does not grow by what a server delivers again, late, or in another order."""

from __future__ import annotations

import pytest

from saferoom_proto.answer import Truth
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Purpose
from simulator import EnclaveHarness, Sample


def renewed(room: Sample, enclave: EnclaveHarness) -> None:
    """Have the key agent endorse the enclave under the charter now in force."""
    enclave.unlock()
    enclave.follow()


def test_a_new_charter_needs_a_new_endorsement_and_new_approvals(
    room: Sample, enclave: EnclaveHarness
) -> None:
    room.tax.adopt()
    enclave.follow()
    assert not enclave.enclave.whereabouts().unlocked
    with pytest.raises(SafeRoomError, match="LOCKED"):
        enclave.judge(room.question())
    renewed(room, enclave)
    assert enclave.ask(room.question()).reason is Reason.NOT_APPROVED
    room.tax.approve(room.steady.template, room.steady.certificate.digest)
    enclave.follow()
    release = enclave.ask(room.question()).release
    assert release.reason is None
    assert release.charter == room.tax.charter.digest
    enclave.restart()
    assert enclave.ask(room.question()).truth is Truth.YES


def test_an_approver_who_left_takes_agreements_and_features_along_but_no_pause(
    room: Sample, enclave: EnclaveHarness
) -> None:
    room.tax.pause(approver="chen")
    enclave.follow()
    keys = room.tax.approvers
    keys["chen"] = room.world.seeds.signing("successor of chen")
    room.tax.adopt()
    enclave.follow()
    renewed(room, enclave)
    with pytest.raises(SafeRoomError, match="NO_AGREEMENT"):
        enclave.judge(room.question())
    room.world.clock.advance(1)
    room.tax.agree(room.bank)
    for pinned in list(room.world.features.values()):
        if pinned.definition.owner == "tax":
            later = pinned.definition.model_copy(update={"version": 2})
            room.tax.define(later)
    certificate = room.world.publish(room.bank.certificate(room.steady.template))
    room.tax.approve(room.steady.template, certificate.digest)
    enclave.follow()
    again = room.bank.request(
        room.world.subject(1), room.steady.template, certificate, {"min_vat": "50000"}
    )
    assert enclave.ask(again).reason is Reason.PAUSED
    enclave.restart()
    assert enclave.ask(again).reason is Reason.PAUSED


def test_a_charter_by_another_root_or_out_of_turn_has_no_effect(
    room: Sample, enclave: EnclaveHarness
) -> None:
    forged = room.tax.next_charter(root=room.court.root.verify_key.public)
    room.world.publish(forged, "tax")
    room.world.publish(room.tax.next_charter(version=3), "tax")
    room.world.publish(room.tax.charters[0], "tax")
    room.world.publish(room.court.charters[0], "tax")
    enclave.follow()
    assert enclave.enclave.charter == room.tax.charter
    assert enclave.ask(room.question()).truth is Truth.YES


def test_the_later_word_on_a_pause_counts_whichever_comes_first(
    room: Sample, enclave: EnclaveHarness
) -> None:
    pause = room.tax.pause()
    room.world.clock.advance(1)
    going_on = [room.tax.pause(paused=False, approver=each) for each in ("chen", "li")]
    room.world.clock.advance(1)
    room.tax.pause()
    enclave.follow()
    for old in (*going_on, pause):
        room.world.streams["tax"].append(old)
    enclave.follow()
    assert enclave.ask(room.question()).reason is Reason.PAUSED


def test_an_approval_held_back_until_after_a_withdrawal_does_not_count(
    room: Sample, enclave: EnclaveHarness
) -> None:
    template, certificate = room.bank.propose("late", "tax.vat_paid >= :min_vat")
    held = [room.tax.approval(template, certificate.digest, each) for each in ("chen", "li")]
    room.world.clock.advance(1)
    room.tax.withdraw(template)
    for each in held:
        room.world.publish(each, "tax")
    enclave.follow()
    question = room.bank.request(room.world.subject(1), template, certificate, {"min_vat": "50000"})
    assert enclave.ask(question).reason is Reason.NOT_APPROVED


def test_an_older_version_of_a_feature_does_not_come_back(
    room: Sample, enclave: EnclaveHarness
) -> None:
    stream = room.world.streams["tax"]
    old = [each for each in stream.statements if ".feature." in each.payload_type]
    pinned = next(iter(room.world.features.values()))
    room.tax.define(pinned.definition.model_copy(update={"version": 5}))
    for each in old:
        stream.append(each)
    enclave.follow()
    assert enclave.ask(room.question()).reason is Reason.CERTIFICATE_MISMATCH


def test_an_institution_has_one_agreement_at_a_time(room: Sample, enclave: EnclaveHarness) -> None:
    wider = (Purpose.PRE_LOAN, Purpose.IN_LOAN)
    room.tax.agree(room.bank, wider, group="another-group")
    enclave.follow()
    assert "another agreement is in force" in enclave.log.getvalue()
    release = enclave.ask(room.question()).release
    assert release.agreement == room.agreement.digest
    later = room.tax.agree(room.bank, wider, replaces=room.agreement)
    room.world.streams["tax"].append(room.agreement)
    enclave.follow()
    assert enclave.ask(room.question()).release.agreement == later.digest
