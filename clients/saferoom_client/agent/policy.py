"""The key agent's decision about one enclave: pure, every check raises.

Source: RFC 9334 (RATS): the agent is verifier and relying party in one; the claims are evidence,
the endorsement is what others take its word from.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from saferoom_client.agent.folder import AgentState, KeyAgent, Recovered
from saferoom_proto import hpke
from saferoom_proto.attestation import QuoteVerifier, verify_evidence
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64, dump, sha256_digest, unb64
from saferoom_proto.premises import require_launched
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.recovery import Decision, keys_info, open_decision
from saferoom_proto.roots import open_followed
from saferoom_proto.statements import (
    ChainLink,
    Endorsement,
    Evidence,
    EvidenceClaims,
    seal_statement,
)
from saferoom_proto.statements.base import whole_milliseconds
from saferoom_proto.verification import PinnedCharter

ENDORSED_FOR: Final = timedelta(hours=24)
"""The room asks again at half time, so an agent may be away for twelve hours."""
CLOCKS_APART: Final = timedelta(minutes=5)
"""An endorsement counts from a little before it is made, for hosts whose clocks are behind."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """An enclave whose evidence passed, and the charter it passed under."""

    claims: EvidenceClaims
    claims_digest: str
    evidence: Evidence
    charter: PinnedCharter
    decision: Decision | None = None
    """The owner's, by which this older copy goes on."""


@dataclass(frozen=True, slots=True)
class KeyRelease:
    """What an accepted enclave is given."""

    endorsement: Envelope
    sealed_keys: bytes


def appraise(
    agent: KeyAgent,
    claims: Envelope,
    evidence: Evidence,
    nonce: bytes,
    charter: Envelope,
    *,
    launch: Envelope | None = None,
    recoveries: Sequence[Envelope] = (),
    verifiers: Mapping[str, QuoteVerifier] | None = None,
) -> Accepted:
    """Decide whether an enclave may have the keys.

    Args:
        agent: with its policy and what it has seen.
        claims: what the enclave claims.
        evidence: what vouches for the claims.
        nonce: this exchange's challenge.
        charter: the owner's charter in force, as the room gives it.
        launch: a supervisor's word that it started the enclave, if there is one.
        recoveries: the approvers' decision that an older copy goes on, if there is one.
        verifiers: of quotes, by the kind of hardware; none where only software evidence counts.

    Raises:
        SafeRoomError: `BAD_EVIDENCE`, `BAD_CHARTER`, `SANDBOX_TOO_WEAK`, `STORE_ROLLED_BACK` or
            `NOT_APPROVED`; the detail names the claim.
    """
    policy, state = agent.policy, agent.state()
    # Step 1: the charter under the pinned root, and no older than the last one.
    pinned = _require_charter(agent, state, charter)
    # Step 2: a kind of evidence that the policy takes, for this very challenge.
    if evidence.kind not in policy.evidence_kinds:
        raise SafeRoomError(Reason.BAD_EVIDENCE, f"{evidence.kind} evidence is not accepted")
    claimed = verify_evidence(claims, evidence, b64(nonce), verifiers or {})
    # Step 3: what runs there, for whom, and how well confined.
    _require_claims(agent, claimed, pinned)
    # Step 4: the owner's own supervisor started it, where the policy names one.
    if policy.supervisors:
        require_launched(launch, policy.supervisors, claimed)
    # Step 5: the enclave's state is no older than the last one seen, or its owner's approvers
    # decided that this copy goes on.
    decision = open_decision(recoveries, pinned) if recoveries else None
    if decision is None:
        _require_not_rolled_back(state.chain, claimed.chain)
    else:
        _require_decided(agent.folder, state, decision, claimed)
    return Accepted(claimed, claims.digest, evidence, pinned, decision)


def release_keys(agent: KeyAgent, accepted: Accepted, now: datetime) -> KeyRelease:
    """Endorse an accepted enclave and seal the keys to it, having remembered it durably."""
    claims, evidence = accepted.claims, accepted.evidence
    charter, moment = accepted.charter, whole_milliseconds(now)
    endorsement = seal_statement(
        Endorsement(
            room=claims.room,
            owner=claims.owner,
            identity=claims.identity,
            sealing=claims.sealing,
            tls=claims.tls,
            charter=charter.digest,
            code=claims.code,
            dependencies=claims.dependencies,
            evidence_kind=evidence.kind,
            evidence=accepted.claims_digest,
            quote=sha256_digest(unb64(evidence.quote)) if evidence.quote else None,
            chain=claims.chain,
            previous=agent.state().endorsement,
            sandbox_level=claims.sandbox_level,
            valid_from=moment - CLOCKS_APART,
            valid_to=moment + ENDORSED_FOR,
        ),
        agent.signing,
    )
    keys = {"store_key": b64(agent.store_key), "pairing_key": b64(agent.pairing_key)}
    if agent.earlier_key is not None:
        keys["earlier_store_key"] = b64(agent.earlier_key)
    decision, state = accepted.decision, agent.state()
    info = keys_info(endorsement.digest, () if decision is None else decision.digests)
    sealed = hpke.seal(unb64(claims.sealing), dump(keys), info=info)
    # What was given is remembered first: an agent that crashes in between never endorses twice in
    # one place, and never again what is older.
    agent.keep_state(
        AgentState(
            charter_version=charter.charter.version,
            charter=charter.digest,
            chain=claims.chain if decision is None else decision.follows,
            endorsement=endorsement.digest,
            recovered=state.recovered if decision is None else _gone_by(state, decision, claims),
            last_epoch=max(
                state.last_epoch,
                0 if claims.store is None else claims.store.epoch,
                0 if decision is None else decision.last_epoch,
            ),
        )
    )
    return KeyRelease(endorsement, sealed)


def _require_charter(agent: KeyAgent, state: AgentState, envelope: Envelope) -> PinnedCharter:
    policy = agent.policy
    pinned = open_followed(envelope, policy.charter_root, policy.last_charter)
    charter, card = pinned.charter, agent.card
    if (charter.room, charter.owner) != (policy.room, policy.owner):
        raise SafeRoomError(Reason.BAD_CHARTER, "the charter is of another room or owner")
    if (charter.key_agent, charter.pairing) != (card.key_agent, card.pairing):
        raise SafeRoomError(Reason.BAD_CHARTER, "the charter names another key agent")
    if charter.version < state.charter_version:
        detail = f"charter version {charter.version} after version {state.charter_version}"
        raise SafeRoomError(Reason.BAD_CHARTER, detail)
    if charter.version == state.charter_version and pinned.digest != state.charter:
        raise SafeRoomError(Reason.BAD_CHARTER, f"two charters of version {charter.version}")
    return pinned


def _require_claims(agent: KeyAgent, claims: EvidenceClaims, charter: PinnedCharter) -> None:
    policy = agent.policy
    if (claims.room, claims.owner) != (policy.room, policy.owner):
        raise SafeRoomError(Reason.BAD_EVIDENCE, "the enclave is another owner's")
    if claims.charter != charter.digest:
        raise SafeRoomError(Reason.BAD_CHARTER, "the enclave runs under another charter")
    if claims.code not in policy.code:
        detail = f"code {claims.code} is not accepted"
        raise _unaccepted(detail, agent.folder, "code", claims.code)
    if claims.dependencies not in policy.dependencies:
        detail = f"dependencies {claims.dependencies} are not accepted"
        raise _unaccepted(detail, agent.folder, "dependencies", claims.dependencies)
    least = charter.charter.min_sandbox_level
    if claims.sandbox_level < least:
        detail = f"sandbox level {claims.sandbox_level}, the charter asks for {least}"
        raise SafeRoomError(Reason.SANDBOX_TOO_WEAK, detail)


def _unaccepted(detail: str, folder: Path, what: str, digest: str) -> SafeRoomError:
    """Refuse code that the owner has not accepted, noting the command by which it would."""
    refusal = SafeRoomError(Reason.BAD_EVIDENCE, detail)
    refusal.add_note(f"saferoom agent accept {shlex.quote(str(folder))} --{what} {digest}")
    return refusal


def _require_decided(
    folder: Path, state: AgentState, decision: Decision, claims: EvidenceClaims
) -> None:
    """Hold an older copy to its owner's decision, which lets one start of one copy go on.

    A decision that counted twice would let whoever has the copy put it into place a second time.
    """
    if decision.found != claims.chain:
        raise SafeRoomError(Reason.STORE_ROLLED_BACK, "the owner decided about another copy")
    seen = state.chain
    if decision.follows.index < seen.index:
        detail = f"it was decided to go on at {decision.follows.index}, and {seen.index} was seen"
        raise SafeRoomError(Reason.STORE_ROLLED_BACK, detail)
    if decision.follows.index == seen.index and decision.follows != seen:
        raise SafeRoomError(Reason.STORE_ROLLED_BACK, "it was decided to go on after another word")
    # Periods that no decision names weigh on no cap: a room could leave some out to win budget.
    if decision.last_epoch < state.last_epoch:
        detail = f"it closes the periods up to {decision.last_epoch}, and {state.last_epoch} began"
        refusal = SafeRoomError(Reason.STORE_ROLLED_BACK, detail)
        refusal.add_note(f"saferoom enclave recover --agent {shlex.quote(str(folder))} --why WHY")
        raise refusal
    used = state.recovered
    if used is None or used.identity == claims.identity:
        return
    if set(used.recoveries) & set(decision.digests):
        detail = "the decision let a copy go on already: the approvers decide anew"
        raise SafeRoomError(Reason.STORE_ROLLED_BACK, detail)


def _gone_by(state: AgentState, decision: Decision, claims: EvidenceClaims) -> Recovered:
    """Remember what was gone by; of decisions to go on from one place, all."""
    before = state.recovered
    earlier = before.recoveries if before is not None and state.chain == decision.follows else ()
    recoveries = tuple(dict.fromkeys((*earlier, *decision.digests)))
    return Recovered(recoveries=recoveries, identity=claims.identity)


def _require_not_rolled_back(seen: ChainLink, claimed: ChainLink) -> None:
    """Compare the enclave's own chain with what was seen of it: shorter, or as long but other."""
    if claimed.index < seen.index:
        detail = f"the enclave's chain has {claimed.index} entries and had {seen.index}"
        raise SafeRoomError(Reason.STORE_ROLLED_BACK, detail)
    if claimed.index == seen.index and claimed.previous != seen.previous:
        raise SafeRoomError(Reason.STORE_ROLLED_BACK, "the enclave's chain was rewritten")
