"""A check through the SDK: answers are verified before they are returned, and a lie is refused."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from saferoom_client.aio import AsyncRoom
from saferoom_client.question import Question
from saferoom_client.refused import Refused
from saferoom_client.values import CheckAnswer
from saferoom_proto.answer import Truth
from saferoom_proto.checkpoint import sign_checkpoint
from saferoom_proto.dsse import Envelope
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.receipt import verify_receipt
from saferoom_proto.statements import CheckRequest, Returns, load
from saferoom_proto.wire import Part, Recorded
from tests.client.fakeroom import Said
from tests.client.made import MadeEnclave


async def asked(room: AsyncRoom, said: Said) -> CheckAnswer:
    return await room.check(
        "steady",
        subject=said.case.world.subject(1).uscc,
        purpose="pre-loan",
        params={"least": 5000},
    )


def tell(
    said: Said,
    truth: Truth | Reason = Truth.YES,
    key: SigningKey | None = None,
    /,
    **changes: object,
) -> None:
    """Have the owner `tax` answer something, or something about something."""
    reply = said.case.world.bank("bank-a").reply

    def parts(envelope: Envelope) -> list[Part]:
        question = Question(envelope, load(envelope, CheckRequest), reply)
        return [
            said.case.answer(question, "court"),
            said.case.answer(question, "tax", truth, key, **changes),
        ]

    said.parts = parts


def alter(said: Said, change: Callable[[Part], Part]) -> None:
    """Have the server alter the part of `tax` on its way."""
    honest = said.parts
    said.parts = lambda envelope: [
        part if place == 0 else change(part) for place, part in enumerate(honest(envelope))
    ]


async def reason_of(room: AsyncRoom, said: Said) -> Reason:
    with pytest.raises(SafeRoomError) as refused:
        await asked(room, said)
    assert not isinstance(refused.value, Refused)
    return refused.value.reason


@pytest.mark.parametrize("truth", Truth)
async def test_a_check_brings_its_verified_answer(
    room: AsyncRoom, said: Said, truth: Truth
) -> None:
    tell(said, truth)
    answer = await asked(room, said)
    assert answer.truth is truth
    assert answer.parts == {"court": Truth.YES, "tax": truth}
    assert answer.bits == 2.0


async def test_the_receipt_of_an_answer_verifies_offline(room: AsyncRoom, said: Said) -> None:
    answer = await asked(room, said)
    verified = verify_receipt(answer.receipt, said.case.world.trust())
    assert (verified.answer, verified.request_id) == (Truth.YES, answer.request_id)


async def test_a_second_check_asks_the_room_for_nothing_but_the_answer(
    room: AsyncRoom, said: Said
) -> None:
    await asked(room, said)
    said.calls.clear()
    await asked(room, said)
    assert said.calls == ["Check"]


async def test_a_kept_question_is_asked_again_as_it_was(room: AsyncRoom, said: Said) -> None:
    question = await room.prepare(
        "steady",
        subject=said.case.world.subject(1).uscc,
        purpose="pre-loan",
        params={"least": "5000"},
    )
    assert (
        question.request.reply_key
        != (
            await room.prepare(
                "steady", subject=said.case.world.subject(1).uscc, purpose="pre-loan", params={}
            )
        ).request.reply_key
    )
    said.parts = answers_to(said)
    first = await room.ask(question)
    kept = Question.from_json(question.to_json())
    again = await room.ask(kept)
    assert again.receipt.to_json() == first.receipt.to_json()


def answers_to(said: Said) -> Callable[[Envelope], list[Part]]:
    """Answer each request once, and then with the same bytes, as a room does."""
    honest, given = said.parts, dict[str, list[Part]]()

    def parts(envelope: Envelope) -> list[Part]:
        return given.setdefault(envelope.digest, honest(envelope))

    return parts


async def test_an_answer_under_another_signature_is_refused(room: AsyncRoom, said: Said) -> None:
    tell(said, Truth.YES, SigningKey.generate())
    assert await reason_of(room, said) is Reason.BAD_SIGNATURE


async def test_an_answer_of_a_made_up_enclave_is_refused(room: AsyncRoom, said: Said) -> None:
    owner = said.case.world.owner("tax")
    enclave = MadeEnclave(owner, "made-up")
    enclave.endorsement = enclave.endorse(SigningKey.generate())
    said.case.enclaves["tax"] = enclave
    assert await reason_of(room, said) is Reason.BAD_ENDORSEMENT


@pytest.mark.parametrize("name", ["request", "template", "certificate"])
async def test_an_answer_to_another_question_is_refused(
    room: AsyncRoom, said: Said, name: str
) -> None:
    tell(said, **{name: "sha256:" + "1" * 64})
    assert await reason_of(room, said) is Reason.BAD_PROOF


async def test_a_stored_answer_to_an_earlier_question_is_refused(
    room: AsyncRoom, said: Said
) -> None:
    await asked(room, said)
    reply = said.case.world.bank("bank-a").reply
    earlier = said.case.question()
    parts = [said.case.answer(earlier, owner) for owner in ("court", "tax")]
    assert earlier.reply_key is reply
    said.parts = lambda _: parts
    assert await reason_of(room, said) is Reason.BAD_PROOF


async def test_an_answer_without_its_place_in_the_log_is_refused(
    room: AsyncRoom, said: Said
) -> None:
    alter(said, lambda part: replace(part, release=replace(part.release, salt=bytes(32))))
    assert await reason_of(room, said) is Reason.BAD_PROOF


async def test_an_answer_that_does_not_open_is_refused(room: AsyncRoom, said: Said) -> None:
    alter(said, lambda part: replace(part, sealed=part.sealed[:-1] + bytes([part.sealed[-1] ^ 1])))
    assert await reason_of(room, said) is Reason.BAD_SEAL


async def test_a_release_whose_bytes_were_changed_is_refused(room: AsyncRoom, said: Said) -> None:
    def change(part: Part) -> Part:
        old = part.release.statement
        payload = old.payload.replace(b'"sequence":1', b'"sequence":2')
        statement = Envelope(old.payload_type, payload, old.signatures)
        return replace(part, release=Recorded(statement, part.release.salt, part.release.proof))

    alter(said, change)
    assert await reason_of(room, said) is Reason.BAD_SIGNATURE


async def test_a_missing_or_swapped_part_is_refused(room: AsyncRoom, said: Said) -> None:
    honest = said.parts
    said.parts = lambda envelope: honest(envelope)[:1]
    assert await reason_of(room, said) is Reason.BAD_PROOF
    said.parts = lambda envelope: list(reversed(honest(envelope)))
    assert await reason_of(room, said) is Reason.BAD_PROOF


async def test_a_refusal_that_comes_as_an_answer_is_refused(room: AsyncRoom, said: Said) -> None:
    tell(said, Reason.WITHHELD)
    assert await reason_of(room, said) is Reason.BAD_PROOF


async def test_an_answer_without_approvals_agreement_or_consent_is_refused(
    room: AsyncRoom, said: Said
) -> None:
    tell(said, approvals=(said.case.approvals["tax"][0].digest,))
    assert await reason_of(room, said) is Reason.NOT_APPROVED
    tell(said, consent=None)
    assert await reason_of(room, said) is Reason.NO_CONSENT


async def test_an_answer_under_a_consent_for_another_bank_is_refused(
    room: AsyncRoom, said: Said
) -> None:
    other = said.case.world.subject(1).consent("bank-b", ["tax.vat_paid"])
    said.case.known[other.digest] = other
    tell(said, consent=other.digest)
    assert await reason_of(room, said) is Reason.NO_CONSENT


async def test_an_answer_under_an_agreement_of_another_bank_is_refused(
    room: AsyncRoom, said: Said
) -> None:
    other = said.case.world.owner("tax").agreement(said.case.world.bank("bank-b"))
    said.case.known[other.digest] = other
    tell(said, agreement=other.digest)
    assert await reason_of(room, said) is Reason.NO_AGREEMENT


@pytest.mark.parametrize("minutes", [-30, 30])
async def test_an_answer_dated_outside_the_question_is_refused(
    room: AsyncRoom, said: Said, minutes: int
) -> None:
    tell(said, time=said.case.world.now() + timedelta(minutes=minutes))
    assert await reason_of(room, said) is Reason.BAD_PROOF


async def test_a_statement_that_is_not_the_one_asked_for_is_refused(
    room: AsyncRoom, said: Said
) -> None:
    agreement = said.case.agreements["tax"]
    said.case.known[agreement.digest] = said.case.consent
    assert await reason_of(room, said) is Reason.BAD_PROOF


async def test_two_logs_of_one_size_are_noticed(room: AsyncRoom, said: Said) -> None:
    await asked(room, said)
    ledger = said.case.world.ledger
    fork = sign_checkpoint(replace(ledger.checkpoint(), root=bytes(32)), ledger.key)
    with pytest.raises(SafeRoomError) as refused:
        room.grounds.open_note(fork)
    assert refused.value.reason is Reason.BAD_PROOF


async def test_a_refusal_tells_reason_owner_and_request(room: AsyncRoom, said: Said) -> None:
    said.refusal = SafeRoomError(Reason.NO_CONSENT, "the operator's own words")
    with pytest.raises(Refused) as refused:
        await asked(room, said)
    assert refused.value.reason is Reason.NO_CONSENT
    assert refused.value.owner == "tax"
    assert refused.value.request_id.startswith("sha256:")
    assert "operator" not in str(refused.value)
    with pytest.raises(SafeRoomError) as none:
        refused.value.receipt()
    assert none.value.reason is Reason.UNKNOWN_STATEMENT


async def test_a_recorded_refusal_has_a_receipt(room: AsyncRoom, said: Said) -> None:
    question = await room.prepare(
        "steady",
        subject=said.case.world.subject(1).uscc,
        purpose="pre-loan",
        params={"least": "5000"},
    )
    said.refusal = SafeRoomError(Reason.OVER_BUDGET)
    said.refused_parts = [
        said.case.answer(question, "court"),
        said.case.answer(question, "tax", Reason.OVER_BUDGET, approvals=()),
    ]
    with pytest.raises(Refused) as refused:
        await room.ask(question)
    receipt = refused.value.receipt()
    verified = verify_receipt(receipt, said.case.world.trust())
    assert verified.answer is None
    assert verified.parts["tax"].release.reason is Reason.OVER_BUDGET
    assert await room.get_check(question) == receipt
    carried = pickle.loads(pickle.dumps(refused.value))
    assert (carried.reason, carried.receipt()) == (Reason.OVER_BUDGET, receipt)


async def test_a_refusal_that_nobody_judged_costs_no_second_call(
    room: AsyncRoom, said: Said
) -> None:
    said.refusal = SafeRoomError(Reason.MALFORMED)
    with pytest.raises(Refused):
        await asked(room, said)
    assert said.calls.count("GetCheck") == 0


async def test_a_malformed_subject_never_leaves_the_client(room: AsyncRoom, said: Said) -> None:
    await asked(room, said)
    said.calls.clear()
    with pytest.raises(SafeRoomError) as refused:
        await room.check("steady", subject="123", purpose="pre-loan")
    assert refused.value.reason is Reason.MALFORMED_SUBJECT
    assert said.calls == []


@pytest.mark.parametrize("value", [float("nan"), 1.5, None])
async def test_a_parameter_that_is_no_exact_value_is_refused(
    room: AsyncRoom, said: Said, value: float | None
) -> None:
    with pytest.raises(SafeRoomError) as refused:
        await room.check(
            "steady",
            subject=said.case.world.subject(1).uscc,
            purpose="pre-loan",
            params={"least": value},  # pyright: ignore[reportArgumentType]
        )
    assert refused.value.reason is Reason.MALFORMED
    assert [fault.field for fault in refused.value.fields] == ["params.least"]


async def test_an_unknown_purpose_is_refused_with_the_list(room: AsyncRoom, said: Said) -> None:
    with pytest.raises(SafeRoomError) as refused:
        await room.check("steady", subject=said.case.world.subject(1).uscc, purpose="fun")
    assert "pre-loan" in refused.value.fields[0].rule


async def test_the_room_does_not_choose_whether_a_value_is_told(
    room: AsyncRoom, said: Said
) -> None:
    """Which template a name stands for is its word: whoever asks says what it means."""
    subject, params = said.case.world.subject(1).uscc, {"least": 5000}

    async def refused(*, blind: bool) -> None:
        for ask in (room.check, room.prepare, room.cost):
            with pytest.raises(SafeRoomError) as error:
                await ask("steady", subject=subject, purpose="pre-loan", params=params, blind=blind)
            assert error.value.reason is Reason.NOT_ALLOWED
            assert [fault.field for fault in error.value.fields] == ["blind"]

    await refused(blind=True)
    view = await room.get_template("steady")
    blind = view.template.model_copy(update={"returns": Returns.BLIND})
    room.views["steady"] = replace(view, template=blind)
    await refused(blind=False)
    assert not {"Check", "Cost"}.intersection(said.calls)
