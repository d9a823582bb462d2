"""A key agent that asks for hardware: software evidence is labelled so and never passes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from saferoom_client.agent.folder import COLLATERAL, KeyAgent, Policy
from saferoom_client.agent.hardware import quote_verifiers
from saferoom_client.agent.policy import appraise, release_keys
from saferoom_client.tdx import TdxImage, TdxPolicy, TdxVerifier
from saferoom_proto.attestation import QuoteVerifier, report_data
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Endorsement, Evidence, EvidenceClaims, load
from simulator.tdx import Registers, TdxPlatform
from tests.client.agents import NONCE, SOFTWARE, Scene

pytest.importorskip("dcap_qvl", reason="the extra saferoom[tdx] is not installed")

IMAGE = TdxImage.model_validate(Registers().model_dump())


class Hardware:
    """An owner's agent that takes TDX evidence of one image only, and a platform to make it."""

    def __init__(self, folder: Path) -> None:
        self.scene = Scene(folder)
        self.now = self.scene.world.now()
        self.platform = TdxPlatform(self.now.replace(microsecond=0))
        policy = self.scene.policy.model_dump() | {
            "evidence_kinds": ("tdx",),
            "tdx": TdxPolicy(images=(IMAGE,)).model_dump(),
        }
        (folder / "agent.json").write_text(Policy.model_validate(policy).model_dump_json())
        (folder / COLLATERAL).write_text(self.platform.collateral())
        self.agent = KeyAgent.load(folder)

    def verifiers(self) -> dict[str, QuoteVerifier]:
        """Give what the agent has, with the made-up platform's root in the place of Intel's."""
        assert self.agent.policy.tdx is not None
        collateral = (self.agent.folder / COLLATERAL).read_text()
        soon = self.now + timedelta(minutes=1)
        root = self.platform.root
        return {"tdx": TdxVerifier(self.agent.policy.tdx, collateral, soon, root=root)}

    def quoted(self, claims: Envelope) -> Evidence:
        data = report_data(load(claims, EvidenceClaims), claims.digest)
        return Evidence(kind="tdx", quote=b64(self.platform.quote(data)))

    def reason(self, claims: Envelope, evidence: Evidence) -> SafeRoomError:
        with pytest.raises(SafeRoomError) as refused:
            appraise(
                self.agent, claims, evidence, NONCE, self.scene.charter, verifiers=self.verifiers()
            )
        return refused.value


@pytest.fixture
def hardware(tmp_path: Path) -> Hardware:
    return Hardware(tmp_path / "agent")


def test_an_enclave_in_a_trust_domain_gets_its_keys(hardware: Hardware) -> None:
    claims = hardware.scene.claims()
    evidence = hardware.quoted(claims)
    accepted = appraise(
        hardware.agent,
        claims,
        evidence,
        NONCE,
        hardware.scene.charter,
        verifiers=hardware.verifiers(),
    )
    endorsement = load(
        release_keys(hardware.agent, accepted, hardware.now).endorsement, Endorsement
    )
    assert endorsement.evidence_kind == "tdx"
    assert endorsement.quote is not None


def test_software_evidence_does_not_pass_where_hardware_is_asked_for(hardware: Hardware) -> None:
    error = hardware.reason(hardware.scene.claims(), SOFTWARE)
    assert error.reason is Reason.BAD_EVIDENCE
    assert "software evidence is not accepted" in error.detail


def test_software_evidence_that_calls_itself_hardware_does_not_pass(hardware: Hardware) -> None:
    claims = hardware.scene.claims()
    for quote in ("", b64(b"trust me"), b64(bytes(5000))):
        error = hardware.reason(claims, Evidence(kind="tdx", quote=quote))
        assert error.reason is Reason.BAD_EVIDENCE


def test_a_quote_is_of_no_use_to_an_enclave_with_other_keys(hardware: Hardware) -> None:
    """A genuine domain's quote is shown with claims of a process on the host."""
    genuine = hardware.quoted(hardware.scene.claims())
    other = hardware.scene.world.seeds.signing("a process on the host")
    stolen = hardware.scene.claims(other, identity=other.verify_key.public)
    assert "another nonce, TLS key or claims" in hardware.reason(stolen, genuine).detail
    relayed = hardware.scene.claims(tls="sha256:" + "f" * 64)
    assert "another nonce, TLS key or claims" in hardware.reason(relayed, genuine).detail


def test_an_old_quote_answers_no_new_challenge(hardware: Hardware) -> None:
    old = hardware.scene.claims(nonce=b64(bytes(32)))
    error = hardware.reason(old, hardware.quoted(old))
    assert error.reason is Reason.BAD_EVIDENCE
    assert "another challenge" in error.detail


def test_an_agent_without_a_verifier_accepts_no_hardware(hardware: Hardware) -> None:
    claims = hardware.scene.claims()
    with pytest.raises(SafeRoomError, match="no verifier for tdx evidence"):
        appraise(hardware.agent, claims, hardware.quoted(claims), NONCE, hardware.scene.charter)


def test_in_earnest_the_root_is_intels(hardware: Hardware) -> None:
    claims = hardware.scene.claims()
    with pytest.raises(SafeRoomError) as refused:
        appraise(
            hardware.agent,
            claims,
            hardware.quoted(claims),
            NONCE,
            hardware.scene.charter,
            verifiers=quote_verifiers(hardware.agent, hardware.now),
        )
    assert refused.value.reason is Reason.BAD_EVIDENCE


def test_without_collateral_the_agent_says_what_to_do(hardware: Hardware) -> None:
    (hardware.agent.folder / COLLATERAL).unlink()
    with pytest.raises(SafeRoomError) as refused:
        quote_verifiers(hardware.agent, hardware.now)
    assert refused.value.reason is Reason.BAD_CONFIG
    assert COLLATERAL in refused.value.detail


def test_a_policy_that_takes_tdx_evidence_names_its_images(hardware: Hardware) -> None:
    policy = hardware.agent.policy.model_dump() | {"tdx": None}
    with pytest.raises(ValidationError, match="names its images"):
        Policy.model_validate(policy)
