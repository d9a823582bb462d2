"""A bank challenges an enclave by itself: what a lying room or enclave can show it, and not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from saferoom_client.aio import AsyncRoom
from saferoom_client.issuer import Issuer
from saferoom_proto.encoding import b64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import EvidenceClaims, seal_statement
from saferoom_proto.v1 import owner_pb2
from saferoom_proto.wire import envelope_to_proto
from tests.client import fakeroom
from tests.client.fakeroom import Said
from tests.client.made import MadeEnclave, make_profile
from tests.client.test_loading import enclave_of

OTHER = "sha256:" + "e" * 64


@dataclass
class Showing:
    """An enclave that shows evidence as a test has it."""

    enclave: MadeEnclave
    claims: EvidenceClaims
    changes: dict[str, object] = field(default_factory=dict[str, object])
    signer: MadeEnclave | None = None
    kind: str = "software"
    quote: bytes = b""

    async def get_evidence(
        self, said: Said, request: owner_pb2.GetEvidenceRequest, context: object
    ) -> owner_pb2.GetEvidenceResponse:
        fields = self.claims.model_dump() | {"nonce": b64(request.nonce)} | self.changes
        signer = self.signer or self.enclave
        claims = seal_statement(EvidenceClaims.model_validate(fields), signer.identity)
        return owner_pb2.GetEvidenceResponse(
            claims=envelope_to_proto(claims),
            kind=self.kind,
            quote=self.quote,
            endorsement=envelope_to_proto(self.enclave.endorsement),
        )


@pytest.fixture
def showing(said: Said, monkeypatch: pytest.MonkeyPatch) -> Showing:
    made = Showing(*enclave_of(said, "enclave", None))
    ask = (made.get_evidence, owner_pb2.GetEvidenceRequest)
    monkeypatch.setitem(fakeroom.CALLS, "OwnerService/GetEvidence", ask)
    return made


@pytest.fixture
async def room(
    showing: Showing, said: Said, issuer: Issuer, tmp_path: Path
) -> AsyncIterator[AsyncRoom]:
    async with fakeroom.serving(said, issuer) as card:
        profile = make_profile(tmp_path / "member", said.case, issuer, card)
        async with AsyncRoom(profile, clock=showing.enclave.world.now) as opened:
            yield opened


async def refused(room: AsyncRoom, *, hardware: bool = False) -> Reason:
    with pytest.raises(SafeRoomError) as error:
        await room.get_evidence("tax", hardware=hardware)
    return error.value.reason


async def test_evidence_for_the_banks_own_challenge_is_verified_and_labelled(
    showing: Showing, room: AsyncRoom
) -> None:
    shown = await room.get_evidence("tax")
    assert (shown.kind, shown.is_hardware) == ("software", False)
    assert shown.claims.identity == shown.endorsement.identity
    assert shown.claims.nonce != showing.claims.nonce


async def test_software_evidence_does_not_pass_for_hardware(
    showing: Showing, room: AsyncRoom
) -> None:
    assert await refused(room, hardware=True) is Reason.BAD_EVIDENCE
    showing.kind, showing.quote = "tdx", b"a quote that nobody can verify"
    assert await refused(room, hardware=True) is Reason.BAD_EVIDENCE
    showing.kind, showing.quote = "software", b"with a quote"
    assert await refused(room) is Reason.BAD_EVIDENCE


async def test_what_was_said_to_another_challenge_is_refused(
    showing: Showing, room: AsyncRoom
) -> None:
    showing.changes = {"nonce": b64(bytes(32))}
    assert await refused(room) is Reason.BAD_EVIDENCE


async def test_another_enclave_cannot_show_itself_under_this_endorsement(
    showing: Showing, said: Said, room: AsyncRoom
) -> None:
    other, claims = enclave_of(said, "a second one", None)
    showing.signer, showing.changes = other, {"identity": claims.identity}
    assert await refused(room) is Reason.BAD_ENDORSEMENT


@pytest.mark.parametrize("name", ["code", "dependencies", "tls", "charter"])
async def test_an_enclave_that_claims_something_else_than_was_endorsed_is_refused(
    showing: Showing, room: AsyncRoom, name: str
) -> None:
    showing.changes = {name: OTHER}
    assert await refused(room) is Reason.BAD_ENDORSEMENT
