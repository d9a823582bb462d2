"""An enclave's word on a job is taken only if all of it verifies: a room that lies gets nothing."""

from __future__ import annotations

import os
from datetime import timedelta
from decimal import Decimal

import pytest

from saferoom_client.aio import AsyncRoom
from saferoom_client.training.folder import JobFolder, RowsFrom
from saferoom_client.training.words import open_admission, open_release
from saferoom_proto import chain, hpke
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.hpke import SealingKey
from saferoom_proto.job_channel import SECRET_BYTES, channel_digest, channel_info
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    ChainLink,
    JobAdmission,
    JobRelease,
    JobRequest,
    PrivacySpent,
    Purpose,
    StoreState,
    StreamPosition,
    seal_statement,
)
from saferoom_proto.statements.base import fresh_nonce
from saferoom_proto.statements.training import FitBands
from saferoom_proto.wire import Recorded
from tests.client.fakeroom import Said
from tests.client.made import NOTHING, Case

OTHER = "sha256:" + "0e" * 32


def signed(
    room: AsyncRoom,
    case: Case,
    givers: tuple[str, ...] = (),
    *,
    bands: FitBands | None = None,
    **changes: object,
) -> JobFolder:
    """Keep a signed job, of the case's template and certificate; the tax office has its side."""
    key, now = SealingKey.generate(), case.world.now()
    fields: dict[str, object] = {
        "room": case.world.room,
        "institution": "bank-a",
        "template": case.template.digest,
        "certificate": case.certificate.digest,
        "purpose": Purpose.PRE_LOAN,
        "items": 1000,
        "commitment": OTHER,
        "columns": 2,
        "inverse_ridge": Decimal(1),
        "rank": 4,
        "rounds": 25,
        "nonce": fresh_nonce(),
        "not_before": now,
        "not_after": now + timedelta(days=1),
        "channel_key": b64(key.public),
    }
    return JobFolder.make(
        room.profile,
        seal_statement(JobRequest.model_validate(fields | changes), room.profile.signing_key),
        template="steady",
        owner="tax",
        givers=givers,
        rows=RowsFrom(file="rows.csv", label="bad", subject=None, columns=(), digest="00"),
        channel_key=key,
        state=b"a state",
        bands=bands,
    )


def of_both(case: Case, folder: JobFolder, owner: str = "tax") -> dict[str, object]:
    """Give what admissions and releases have alike."""
    return {
        "room": case.world.room,
        "owner": owner,
        "request": folder.job,
        "institution": "bank-a",
        "endorsement": case.enclaves[owner].endorsement.digest,
        "charter": case.world.owner(owner).charter.digest,
        "template": folder.request.template,
        "certificate": folder.request.certificate,
        "approvals": case.grounds(owner)["approvals"],
        "agreement": case.agreements[owner].digest,
        "stream": StreamPosition(sequence=1, running=chain.GENESIS),
        "store": StoreState(epoch=1, digest=NOTHING),
        "chain": ChainLink(index=0, previous=chain.GENESIS),
        "time": case.world.now(),
    }


def said_of(
    case: Case, statement: JobAdmission | JobRelease, owner: str, key: SigningKey | None = None
) -> Recorded:
    envelope: Envelope = seal_statement(statement, key or case.enclaves[owner].identity)
    case.world.ledger.record(envelope)
    return case.world.ledger.recorded(envelope)


def admission(
    case: Case, folder: JobFolder, secret: bytes, owner: str = "tax", /, **changes: object
) -> JobAdmission:
    own: dict[str, object] = {
        "columns": 3,
        "channel": channel_digest(secret, folder.job),
        "run": 1,
    }
    return JobAdmission.model_validate(of_both(case, folder, owner) | own | changes)


def sealed_to(folder: JobFolder, secret: bytes, *, owner: str = "tax") -> bytes:
    return hpke.seal(folder.channel_key().public, secret, info=channel_info(folder.job, owner))


async def refusal(room: AsyncRoom, folder: JobFolder, recorded: Recorded, sealed: bytes) -> Reason:
    with pytest.raises(SafeRoomError) as refused:
        await open_admission(room, folder, recorded, sealed)
    return refused.value.reason


async def test_an_admission_that_verifies_opens_the_channel(room: AsyncRoom, said: Said) -> None:
    case, secret = said.case, os.urandom(SECRET_BYTES)
    folder = signed(room, case)
    recorded = said_of(case, admission(case, folder, secret), "tax")
    word, opened = await open_admission(room, folder, recorded, sealed_to(folder, secret))
    assert (word.columns, opened) == (3, secret)
    folder.admit(recorded.statement, word.columns, opened)
    kept = folder.admitted()
    assert kept is not None
    assert kept.secret == secret
    for path in folder.folder.iterdir():
        assert secret not in path.read_bytes()
        assert b64(secret).encode() not in path.read_bytes()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"request": OTHER}, Reason.BAD_PROOF),
        ({"template": OTHER}, Reason.BAD_PROOF),
        ({"certificate": OTHER}, Reason.BAD_PROOF),
        ({"institution": "bank-b"}, Reason.BAD_PROOF),
        ({"channel": OTHER}, Reason.BAD_SEAL),
    ],
)
async def test_an_admission_of_something_else_is_refused(
    room: AsyncRoom, said: Said, changes: dict[str, object], reason: Reason
) -> None:
    case, secret = said.case, os.urandom(SECRET_BYTES)
    folder = signed(room, case)
    recorded = said_of(case, admission(case, folder, secret, **changes), "tax")
    assert await refusal(room, folder, recorded, sealed_to(folder, secret)) is reason


async def test_an_admission_without_enough_approvals_is_refused(
    room: AsyncRoom, said: Said
) -> None:
    case, secret = said.case, os.urandom(SECRET_BYTES)
    folder = signed(room, case)
    for approvals in ([case.approvals["tax"][0]], case.approvals["court"]):
        word = admission(case, folder, secret, approvals=tuple(each.digest for each in approvals))
        found = await refusal(room, folder, said_of(case, word, "tax"), sealed_to(folder, secret))
        assert found is not Reason.BAD_SEAL
        assert found in {Reason.NOT_APPROVED, Reason.BAD_SIGNATURE}


async def test_another_owners_enclave_cannot_let_a_job_begin(room: AsyncRoom, said: Said) -> None:
    case, secret = said.case, os.urandom(SECRET_BYTES)
    folder = signed(room, case)
    recorded = said_of(case, admission(case, folder, secret, "court"), "court")
    found = await refusal(room, folder, recorded, sealed_to(folder, secret, owner="court"))
    assert found is Reason.BAD_PROOF


async def test_of_several_owners_every_one_lets_a_job_begin(room: AsyncRoom, said: Said) -> None:
    case, secret = said.case, os.urandom(SECRET_BYTES)
    folder = signed(room, case, ("court",))
    host = said_of(case, admission(case, folder, secret), "tax")
    giver = said_of(case, admission(case, folder, secret, "court"), "court")
    sealed = sealed_to(folder, secret)
    word, opened = await open_admission(room, folder, host, sealed, [giver])
    assert (word.owner, opened) == ("tax", secret)
    # Without the other owner's word, with another's in its place, or the two exchanged: nothing.
    exchanged = sealed_to(folder, secret, owner="court")
    for first, others, seal, reason in (
        (host, [], sealed, Reason.NOT_APPROVED),
        (host, [host], sealed, Reason.NOT_APPROVED),
        (giver, [host], exchanged, Reason.BAD_PROOF),
    ):
        with pytest.raises(SafeRoomError) as refused:
            await open_admission(room, folder, first, seal, others)
        assert refused.value.reason is reason


@pytest.mark.parametrize("wrong", ["tax", "court"])
@pytest.mark.parametrize("charged", [None, Decimal("0.5")])
async def test_of_several_owners_every_one_charges_what_was_approved(
    room: AsyncRoom, said: Said, wrong: str, charged: Decimal | None
) -> None:
    case, secret = said.case, os.urandom(SECRET_BYTES)
    folder = signed(room, case, ("court",), bands=FitBands(epsilon=Decimal(1), cap=Decimal(4)))

    async def opened(*spent: PrivacySpent | None) -> JobAdmission:
        tax, court = (
            said_of(case, admission(case, folder, secret, owner, privacy=privacy), owner)
            for owner, privacy in zip(("tax", "court"), spent, strict=True)
        )
        word, _ = await open_admission(room, folder, tax, sealed_to(folder, secret), [court])
        return word

    right = PrivacySpent(charged=Decimal(1), spent=Decimal(2), cap=Decimal(4))
    assert (await opened(right, right)).privacy == right
    lying = None if charged is None else right.model_copy(update={"charged": charged})
    with pytest.raises(SafeRoomError, match="another epsilon") as refused:
        await opened(*(lying if owner == wrong else right for owner in ("tax", "court")))
    assert refused.value.reason is Reason.BAD_PROOF


async def test_any_owner_refuses_a_job_and_the_host_alone_ends_it_later(
    room: AsyncRoom, said: Said
) -> None:
    case = said.case
    folder = signed(room, case, ("court",))
    refusal: dict[str, object] = of_both(case, folder, "court") | {
        "outcome": "refused",
        "ended_in": "admission",
        "reason": Reason.OVER_BUDGET,
        "cancel": None,
        "rows": None,
        "rounds": None,
        "converged": None,
        "model": None,
    }
    word = JobRelease.model_validate(refusal, strict=False)
    opened = await open_release(room, folder, said_of(case, word, "court"))
    assert (opened.owner, opened.reason) == ("court", Reason.OVER_BUDGET)
    # A bank's own word ends a job where it began, which may be at a giver alone.
    cancelled = {"outcome": "cancelled", "ended_in": "alignment", "reason": None, "cancel": OTHER}
    word = JobRelease.model_validate(refusal | cancelled, strict=False)
    assert (await open_release(room, folder, said_of(case, word, "court"))).cancel == OTHER
    later = JobRelease.model_validate(refusal | {"ended_in": "training"}, strict=False)
    with pytest.raises(SafeRoomError) as refused:
        await open_release(room, folder, said_of(case, later, "court"))
    assert refused.value.reason is Reason.BAD_PROOF


async def test_a_server_cannot_sign_an_admission_or_seal_a_secret_of_its_own(
    room: AsyncRoom, said: Said
) -> None:
    case, secret, own = said.case, os.urandom(SECRET_BYTES), os.urandom(SECRET_BYTES)
    folder = signed(room, case)
    made_up = said_of(case, admission(case, folder, own), "tax", SigningKey.generate())
    assert await refusal(room, folder, made_up, sealed_to(folder, own)) is Reason.BAD_SIGNATURE
    genuine = said_of(case, admission(case, folder, secret), "tax")
    assert await refusal(room, folder, genuine, sealed_to(folder, own)) is Reason.BAD_SEAL
    other = signed(room, case)
    assert await refusal(room, folder, genuine, sealed_to(other, secret)) is Reason.BAD_SEAL


async def test_an_admission_without_its_place_in_the_log_is_refused(
    room: AsyncRoom, said: Said
) -> None:
    case, secret = said.case, os.urandom(SECRET_BYTES)
    folder = signed(room, case)
    recorded = said_of(case, admission(case, folder, secret), "tax")
    elsewhere = Recorded(recorded.statement, os.urandom(32), recorded.proof)
    assert await refusal(room, folder, elsewhere, sealed_to(folder, secret)) is Reason.BAD_PROOF


async def test_a_job_for_a_purpose_beside_the_agreement_is_refused(
    room: AsyncRoom, said: Said
) -> None:
    case, secret = said.case, os.urandom(SECRET_BYTES)
    folder = signed(room, case, purpose=Purpose.SUPERVISION)
    recorded = said_of(case, admission(case, folder, secret), "tax")
    assert await refusal(room, folder, recorded, sealed_to(folder, secret)) is Reason.NO_AGREEMENT


async def test_a_last_word_about_another_job_is_refused(room: AsyncRoom, said: Said) -> None:
    case = said.case
    folder, other = signed(room, case), signed(room, case)
    own: dict[str, object] = {
        "outcome": "failed",
        "ended_in": "training",
        "reason": Reason.MALFORMED,
        "cancel": None,
        "rows": None,
        "rounds": None,
        "converged": None,
        "model": None,
    }
    word = JobRelease.model_validate(of_both(case, other) | own, strict=False)
    recorded = said_of(case, word, "tax")
    assert (await open_release(room, other, recorded)).reason is Reason.MALFORMED
    with pytest.raises(SafeRoomError) as refused:
        await open_release(room, folder, recorded)
    assert refused.value.reason is Reason.BAD_PROOF
