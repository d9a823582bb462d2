"""What a key agent verifies quotes of hardware with: its policy, and collateral of the day."""

from __future__ import annotations

from datetime import datetime

from saferoom_client.agent.folder import COLLATERAL, KeyAgent
from saferoom_client.tdx import TdxVerifier
from saferoom_proto.attestation import QuoteVerifier
from saferoom_proto.reasons import Reason, SafeRoomError


def quote_verifiers(agent: KeyAgent, now: datetime) -> dict[str, QuoteVerifier]:
    """Make a verifier for each kind of hardware that the agent's policy takes.

    Raises:
        SafeRoomError: `BAD_CONFIG` without collateral, or without the extra that verifies it.
    """
    policy = agent.policy.tdx
    if policy is None:
        return {}
    path = agent.folder / COLLATERAL
    try:
        collateral = path.read_text("utf-8")
    except (OSError, ValueError) as error:
        detail = f"{path}: Intel's collateral for the platform is needed there, and not readable"
        raise SafeRoomError(Reason.BAD_CONFIG, detail) from error
    return {"tdx": TdxVerifier(policy, collateral, now)}
