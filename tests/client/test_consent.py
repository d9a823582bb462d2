"""A subject takes a consent back: only a verified acknowledgement counts as one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from saferoom_client.aio import AsyncRoom
from saferoom_proto.dsse import Envelope
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.wire import Recorded
from tests.client.fakeroom import Said

OTHER = "sha256:" + "1" * 64


def acknowledge(said: Said, change: Callable[[Recorded], Recorded] | None = None) -> None:
    """Have the enclave of `tax` acknowledge, and the server alter what it passes on."""
    case = said.case

    def told(revocation: Envelope) -> list[Recorded]:
        uscc = case.world.subject(1).uscc
        honest = case.enclaves["tax"].acknowledge(revocation, case.consent.digest, uscc)
        return [honest if change is None else change(honest)]

    said.acknowledgements = told


async def reason_of(room: AsyncRoom, said: Said) -> Reason:
    with pytest.raises(SafeRoomError) as refused:
        await room.revoke_consent(said.case.consent.digest)
    return refused.value.reason


async def test_an_acknowledgement_is_verified_and_told(subject: AsyncRoom, said: Said) -> None:
    acknowledge(said)
    revocation = await subject.revoke_consent(said.case.consent.digest)
    assert set(revocation.acknowledgements) == {"tax"}
    assert revocation.waiting == ("court",)
    assert revocation.acknowledgements["tax"].consent == said.case.consent.digest


async def test_an_acknowledgement_that_is_not_in_the_log_is_refused(
    subject: AsyncRoom, said: Said
) -> None:
    acknowledge(said, lambda told: replace(told, salt=bytes(32)))
    assert await reason_of(subject, said) is Reason.BAD_PROOF


async def test_an_acknowledgement_of_a_made_up_enclave_is_refused(
    subject: AsyncRoom, said: Said
) -> None:
    enclave = said.case.enclaves["tax"]
    enclave.endorsement = enclave.endorse(SigningKey.generate())
    acknowledge(said)
    assert await reason_of(subject, said) is Reason.BAD_ENDORSEMENT


@pytest.mark.parametrize("what", ["revocation", "consent", "subject"])
async def test_an_acknowledgement_of_something_else_is_refused(
    subject: AsyncRoom, said: Said, what: str
) -> None:
    case = said.case

    def told(revocation: Envelope) -> list[Recorded]:
        about = case.consent if what == "revocation" else revocation
        consent = OTHER if what == "consent" else case.consent.digest
        uscc = case.world.subject(2 if what == "subject" else 1).uscc
        return [case.enclaves["tax"].acknowledge(about, consent, uscc)]

    said.acknowledgements = told
    assert await reason_of(subject, said) is Reason.BAD_PROOF


async def test_an_acknowledgement_of_an_owner_without_a_pinned_root_is_refused(
    subject: AsyncRoom, said: Said
) -> None:
    acknowledge(said)
    trust = subject.profile.trust.model_copy(update={"charter_roots": {}})
    subject.profile = replace(subject.profile, trust=trust)
    assert await reason_of(subject, said) is Reason.BAD_CHARTER
