"""Templates altered, renamed or swapped; approvals by the wrong people, too early, or twice."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from saferoom_proto.answer import Truth
from saferoom_proto.dsse import Envelope, Signature, sign
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import Approval, Outcome, Template, load, seal_statement
from simulator import APPROVERS, Approved, EnclaveHarness, Sample

LOOSE = "tax.vat_paid >= :min_vat"
CHEN, LI, WANG = APPROVERS


def require_refused(
    room: Sample,
    enclave: EnclaveHarness,
    asked: Approved,
    *reasons: Reason,
) -> None:
    """Have a question with a template refused, free of charge, whoever says it was approved."""
    enclave.follow()
    subject, params = room.world.subject(1), {"min_vat": "50000"}
    verdict = enclave.ask(room.bank.request(subject, asked.template, asked.certificate, params))
    assert verdict.release.outcome is Outcome.REFUSED
    assert verdict.reason in (reasons or (Reason.NOT_APPROVED,))
    assert (verdict.release.approvals, verdict.release.charges) == ((), ())
    assert verdict.judged.sealed == b""


def require_answered(room: Sample, enclave: EnclaveHarness, asked: Approved) -> None:
    """Show that with two honest approvals the same is answered, and is the first to be charged."""
    room.world.clock.advance(1)
    room.tax.approve(asked.template, asked.certificate.digest)
    enclave.follow()
    verdict = enclave.ask(room.question(asked=asked))
    assert verdict.truth is Truth.YES
    assert [charge.cells_before for charge in verdict.release.charges] == [1]


def proposed(room: Sample, name: str = "loose", check: str = LOOSE) -> Approved:
    """Have the bank propose a check that nobody has approved."""
    return Approved(*room.bank.propose(name, check))


def test_the_same_name_with_another_body_is_another_template(
    room: Sample, enclave: EnclaveHarness
) -> None:
    name = load(room.steady.template, Template).name
    other = proposed(room, name)
    require_refused(room, enclave, other)
    require_answered(room, enclave, other)


ALTERATIONS: dict[str, Callable[[bytes], bytes]] = {
    "a space": lambda payload: payload.replace(b'"check":', b'"check": '),
    "a line feed at the end": lambda payload: payload + b"\n",
    "keys in another order": lambda payload: json.dumps(
        dict(reversed(json.loads(payload).items())), separators=(",", ":"), ensure_ascii=False
    ).encode(),
    "an escaped letter": lambda payload: payload.replace(b'"kind":"C', b'"kind":"\\u0043'),
    "a looser formula": lambda payload: payload.replace(b" AND tax.arrears IS FALSE", b""),
    "one more purpose": lambda payload: payload.replace(
        b'"purposes":["pre-loan"]', b'"purposes":["pre-loan","in-loan"]'
    ),
}


@pytest.mark.parametrize("how", ALTERATIONS)
def test_other_bytes_are_not_approved_even_where_they_say_the_same(
    room: Sample, enclave: EnclaveHarness, how: str
) -> None:
    honest = room.steady.template
    payload = ALTERATIONS[how](honest.payload)
    assert payload != honest.payload
    altered = sign(honest.payload_type, payload, room.bank.key)
    stream = room.world.streams["tax"]
    stream.append(altered)
    for approval in [each for each in stream.statements if ".approval." in each.payload_type]:
        stream.append(approval)
    asked = Approved(altered, room.steady.certificate)
    require_refused(room, enclave, asked, Reason.NOT_APPROVED, Reason.CERTIFICATE_MISMATCH)
    assert enclave.ask(room.question()).truth is Truth.YES


def test_a_certificate_of_a_harmless_template_does_not_cover_for_another(
    room: Sample, enclave: EnclaveHarness
) -> None:
    loose = proposed(room)
    for certificate in (room.public.certificate, room.steady.certificate):
        crossed = Approved(loose.template, certificate)
        room.tax.approve(crossed.template, crossed.certificate.digest)
        require_refused(room, enclave, crossed, Reason.CERTIFICATE_MISMATCH)
    require_answered(room, enclave, loose)


def test_one_approver_counts_once_however_often_and_in_whatever_form(
    room: Sample, enclave: EnclaveHarness
) -> None:
    loose = proposed(room)
    first = room.tax.approval(loose.template, loose.certificate.digest, CHEN)
    room.world.publish(first, "tax")
    for seconds in (1, 2):
        room.world.clock.advance(seconds)
        later = room.tax.approval(loose.template, loose.certificate.digest, CHEN)
        room.world.publish(later, "tax")
    (own,) = first.signatures
    again = Signature(room.tax.approvers[LI].verify_key.keyid, own.sig)
    doubled = Envelope(first.payload_type, first.payload, (own, again))
    room.world.streams["tax"].append(doubled)
    require_refused(room, enclave, loose)
    require_answered(room, enclave, loose)


def test_nobody_signs_in_anothers_name(room: Sample, enclave: EnclaveHarness) -> None:
    loose = proposed(room)
    digest = loose.certificate.digest
    genuine = room.tax.approval(loose.template, digest, CHEN)
    room.world.publish(genuine, "tax")
    # Chen signs as Li; the server signs as Li, under Li's key id; Chen's signature moves to Li's.
    as_li = load(room.tax.approval(loose.template, digest, LI), Approval)
    server = room.world.seeds.signing("the server")
    li_keyid = room.tax.approvers[LI].verify_key.keyid
    forged = seal_statement(as_li, server)
    named = Signature(li_keyid, forged.signatures[0].sig)
    moved = Signature(li_keyid, genuine.signatures[0].sig)
    for envelope in (
        seal_statement(as_li, room.tax.approvers[CHEN]),
        forged,
        Envelope(forged.payload_type, forged.payload, (named,)),
        Envelope(forged.payload_type, forged.payload, (moved,)),
    ):
        room.world.streams["tax"].append(envelope)
    require_refused(room, enclave, loose)
    require_answered(room, enclave, loose)


def test_another_owners_approvers_have_no_say_here(room: Sample, enclave: EnclaveHarness) -> None:
    loose = proposed(room)
    for approver in APPROVERS:
        theirs = load(
            room.court.approval(loose.template, loose.certificate.digest, approver), Approval
        )
        as_ours = theirs.model_copy(update={"owner": "tax", "charter": room.tax.charter.digest})
        for approval in (theirs, as_ours):
            room.world.publish(seal_statement(approval, room.court.approvers[approver]), "tax")
    require_refused(room, enclave, loose)
    require_answered(room, enclave, loose)


def test_approvals_under_an_earlier_charter_do_not_count_under_the_next(
    room: Sample, enclave: EnclaveHarness
) -> None:
    loose = proposed(room)
    held = [
        room.tax.approval(loose.template, loose.certificate.digest, each) for each in (CHEN, LI)
    ]
    room.tax.adopt(max_head_age_seconds=59)
    for approval in held:
        room.world.publish(approval, "tax")
    enclave.restart()  # under the new charter, as the server starts it
    require_refused(room, enclave, loose)
    require_refused(room, enclave, room.steady)  # what ran before needs a fresh look as well
    require_answered(room, enclave, loose)


def test_a_withdrawal_holds_against_every_replay(room: Sample, enclave: EnclaveHarness) -> None:
    loose = proposed(room)
    given = room.tax.approve(loose.template, loose.certificate.digest)
    held = room.tax.approval(loose.template, loose.certificate.digest, WANG)
    room.world.clock.advance(1)
    room.tax.withdraw(loose.template)
    require_refused(room, enclave, loose)
    for approval in (*given, held, loose.template, loose.certificate, *given):
        room.world.streams["tax"].append(approval)
    require_refused(room, enclave, loose)
    enclave.restart()
    require_refused(room, enclave, loose)
    require_answered(room, enclave, loose)


def test_an_approval_dated_ahead_does_not_outlive_a_withdrawal(
    room: Sample, enclave: EnclaveHarness
) -> None:
    loose = proposed(room)
    honest = room.tax.approval(loose.template, loose.certificate.digest, CHEN)
    ahead = room.world.now().replace(year=room.world.now().year + 1)
    for approver in (CHEN, LI):
        approval = load(honest, Approval).model_copy(update={"approver": approver, "at": ahead})
        room.world.publish(seal_statement(approval, room.tax.approvers[approver]), "tax")
    require_refused(room, enclave, loose)
    require_answered(room, enclave, loose)
