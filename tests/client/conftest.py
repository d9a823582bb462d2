"""A lying or honest server, and a bank that asks it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from saferoom_client.aio import AsyncRoom
from saferoom_client.issuer import Issuer
from saferoom_client.profile import Member, Profile
from saferoom_client.question import Question
from saferoom_client.session import utc_now
from saferoom_proto.dsse import Envelope
from saferoom_proto.statements import CheckRequest, load
from saferoom_proto.wire import Part
from tests.client.fakeroom import Said, serving
from tests.client.made import make_case, make_profile
from tests.client.tampering import Told, told


@pytest.fixture(scope="session")
def issuer() -> Issuer:
    return Issuer.create("registry", utc_now())


@pytest.fixture
def said() -> Said:
    """Give what the server says: at first, that both owners answer yes."""
    case = make_case()
    said = Said(case)

    def honest(envelope: Envelope) -> list[Part]:
        question = Question(envelope, load(envelope, CheckRequest), case.world.bank("bank-a").reply)
        return [case.answer(question, owner) for owner in ("court", "tax")]

    said.parts = honest
    return said


@pytest.fixture
async def room(said: Said, issuer: Issuer, tmp_path: Path) -> AsyncIterator[AsyncRoom]:
    """Give the bank's room, at the simulator's time of day."""
    async with serving(said, issuer) as card:
        profile = make_profile(tmp_path / "bank", said.case, issuer, card)
        async with AsyncRoom(profile, clock=said.case.world.now) as opened:
            yield opened


@pytest.fixture
async def subject(said: Said, issuer: Issuer, tmp_path: Path) -> AsyncIterator[AsyncRoom]:
    """Give the room of the subject who consented, with the keys the simulator gave it."""
    world = said.case.world
    async with serving(said, issuer) as card:
        one = world.subject(1)
        member = Member(organisation=one.uscc, name="self")
        key = ec.generate_private_key(ec.SECP256R1())
        tls = issuer.issue_connection(member, key.public_key(), utc_now())
        profile = Profile(
            folder=tmp_path / "subject",
            card=card,
            member=member,
            trust=world.trust(),
            tls_certificate=tls.public_bytes(Encoding.PEM),
            tls_key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            signing_certificate=one.certificate,
            signing_key=one.key,
        )
        async with AsyncRoom(profile, clock=world.now) as room:
            yield room


@pytest.fixture(scope="session")
def whole() -> Told:
    """Give a whole receipt, and what it was made of."""
    return told()
