"""Every reason for which the room refuses, with its status, its words and what to do next.

A reason is public and stable; programs branch on it. The detail beside it is for the operator's
log only and never carries a value of a record. Whatever depends on a record is `WITHHELD`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Reason(StrEnum):
    """Why something was refused. The names are part of the contract: never renamed, never reused."""

    # The message itself.
    MALFORMED = "MALFORMED"
    MALFORMED_SUBJECT = "MALFORMED_SUBJECT"
    MALFORMED_FORMULA = "MALFORMED_FORMULA"
    MALFORMED_SQL = "MALFORMED_SQL"
    TOO_LARGE = "TOO_LARGE"
    UNKNOWN_FEATURE = "UNKNOWN_FEATURE"
    UNKNOWN_STATEMENT = "UNKNOWN_STATEMENT"
    OFF_DOMAIN = "OFF_DOMAIN"
    OFF_GRID = "OFF_GRID"
    # Who asks.
    UNAUTHENTICATED = "UNAUTHENTICATED"
    CERTIFICATE_REVOKED = "CERTIFICATE_REVOKED"
    NOT_ALLOWED = "NOT_ALLOWED"
    TOO_MANY_REQUESTS = "TOO_MANY_REQUESTS"
    # Signatures, seals and proofs.
    BAD_SIGNATURE = "BAD_SIGNATURE"
    BAD_SEAL = "BAD_SEAL"
    BAD_PROOF = "BAD_PROOF"
    BAD_EVIDENCE = "BAD_EVIDENCE"
    BAD_ENDORSEMENT = "BAD_ENDORSEMENT"
    BAD_CHARTER = "BAD_CHARTER"
    STORE_DAMAGED = "STORE_DAMAGED"
    STORE_ROLLED_BACK = "STORE_ROLLED_BACK"
    # What the owners allowed.
    NOT_APPROVED = "NOT_APPROVED"
    CERTIFICATE_MISMATCH = "CERTIFICATE_MISMATCH"
    NO_AGREEMENT = "NO_AGREEMENT"
    NO_CONSENT = "NO_CONSENT"
    WRONG_PURPOSE = "WRONG_PURPOSE"
    PAUSED = "PAUSED"
    OVER_BUDGET = "OVER_BUDGET"
    CONSENT_USED_UP = "CONSENT_USED_UP"
    MODEL_OUTDATED = "MODEL_OUTDATED"
    # Time and order.
    NOT_YET_VALID = "NOT_YET_VALID"
    EXPIRED = "EXPIRED"
    NONCE_REUSED = "NONCE_REUSED"
    ROW_REPEATED = "ROW_REPEATED"
    STALE_HEAD = "STALE_HEAD"
    HEAD_FROM_FUTURE = "HEAD_FROM_FUTURE"
    BROKEN_STREAM = "BROKEN_STREAM"
    NOT_WITNESSED = "NOT_WITNESSED"
    CONFLICT = "CONFLICT"
    # The room's own state.
    SANDBOX_TOO_WEAK = "SANDBOX_TOO_WEAK"
    LOCKED = "LOCKED"
    NO_DATA = "NO_DATA"
    SNAPSHOT_GONE = "SNAPSHOT_GONE"
    OUTBOX_WAITING = "OUTBOX_WAITING"
    UNAVAILABLE = "UNAVAILABLE"
    SOURCE_PENDING = "SOURCE_PENDING"
    SOURCE_UNAVAILABLE = "SOURCE_UNAVAILABLE"
    DEADLINE = "DEADLINE"
    PRICE_ONLY = "PRICE_ONLY"
    WITHHELD = "WITHHELD"
    NOT_INSTALLED = "NOT_INSTALLED"
    BAD_CONFIG = "BAD_CONFIG"
    INTERNAL = "INTERNAL"


@dataclass(frozen=True, slots=True)
class Words:
    """What a reason tells a person: the gRPC status name, what happened, and the next step."""

    status: str
    what: str
    next_step: str


@dataclass(frozen=True, slots=True)
class FieldFault:
    """One field of the asker's own message that is wrong, and the rule it breaks."""

    field: str
    rule: str


class SafeRoomError(Exception):
    """A refusal: a public reason, a detail for the operator, and faults in the asker's own fields.

    Args:
        reason: what the other side is told.
        detail: for the operator's log; never a value of a record.
        fields: faults in fields that the asker itself wrote; these are told to the asker.
    """

    def __init__(self, reason: Reason, detail: str = "", fields: Sequence[FieldFault] = ()) -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason: Final = reason
        self.detail: Final = detail
        self.fields: Final = tuple(fields)

    @property
    def words(self) -> Words:
        """The fixed public words of this refusal's reason."""
        return CATALOGUE[self.reason]


class TryLaterError(SafeRoomError):
    """A refusal that tells after how long to try again.

    Args:
        reason: what the other side is told.
        detail: for the operator's log.
        retry_seconds: how long to wait; told to the other side.
    """

    def __init__(self, reason: Reason, detail: str, retry_seconds: float) -> None:
        super().__init__(reason, detail)
        self.retry_seconds: Final = retry_seconds


_BAD = "INVALID_ARGUMENT"
_DENIED = "PERMISSION_DENIED"
_STATE = "FAILED_PRECONDITION"

CATALOGUE: Final[dict[Reason, Words]] = {
    Reason.MALFORMED: Words(_BAD, "The message is not well formed.", "Correct the named field and send it again."),
    Reason.MALFORMED_SUBJECT: Words(_BAD, "The subject is not a unified social credit code.", "Check the 18 characters against GB 32100-2015."),
    Reason.MALFORMED_FORMULA: Words(_BAD, "The formula uses something a check may not use.", "Change it at the named position."),
    Reason.MALFORMED_SQL: Words(_BAD, "The feature's SQL uses something a feature may not use.", "Change it at the named position."),
    Reason.TOO_LARGE: Words("RESOURCE_EXHAUSTED", "The message is larger than the room accepts.", "Send less at once."),
    Reason.UNKNOWN_FEATURE: Words(_BAD, "A named feature is not defined by its owner.", "List the owner's features."),
    Reason.UNKNOWN_STATEMENT: Words("NOT_FOUND", "The room holds no such statement for you.", "Check the name or the digest."),
    Reason.OFF_DOMAIN: Words(_BAD, "A parameter is not one the template takes.", "Show the template to see its parameters."),
    Reason.OFF_GRID: Words(_BAD, "A value is not on its feature's grid.", "Use one of the feature's published thresholds or classes."),
    Reason.UNAUTHENTICATED: Words("UNAUTHENTICATED", "The certificate is not one the room knows.", "Enrol with the operator."),
    Reason.CERTIFICATE_REVOKED: Words("UNAUTHENTICATED", "The certificate was revoked.", "Ask the identity issuer for a new one."),
    Reason.NOT_ALLOWED: Words(_DENIED, "You may not do this.", "Ask the operator which role it needs."),
    Reason.TOO_MANY_REQUESTS: Words("RESOURCE_EXHAUSTED", "You have too many requests under way, or sent too many bad ones.", "Wait and try again with back-off."),
    Reason.BAD_SIGNATURE: Words(_DENIED, "A signature does not verify under the keys that must have made it.", "Sign again with the enrolled key."),
    Reason.BAD_SEAL: Words(_BAD, "A sealed message cannot be opened.", "Seal it to the key in the current endorsement."),
    Reason.BAD_PROOF: Words("DATA_LOSS", "A proof does not fit the log.", "Keep the evidence and tell the auditor."),
    Reason.BAD_EVIDENCE: Words(_DENIED, "The enclave's evidence does not pass the owner's policy.", "The owner's key agent log names the claim."),
    Reason.BAD_ENDORSEMENT: Words(_DENIED, "The enclave's key is not endorsed by its owner.", "Do not use the answer; tell the owner."),
    Reason.BAD_CHARTER: Words(_DENIED, "The charter is not the owner's.", "Check the charter root with the owner."),
    Reason.STORE_DAMAGED: Words("DATA_LOSS", "The sealed store does not open.", "The owner restores it or loads it again."),
    Reason.STORE_ROLLED_BACK: Words("DATA_LOSS", "The sealed store is not the newest one.", "The owner decides which one counts."),
    Reason.NOT_APPROVED: Words(_DENIED, "The owner has not approved these exact bytes.", "Ask the owner's approvers."),
    Reason.CERTIFICATE_MISMATCH: Words(_DENIED, "The release certificate is not the one this template gives.", "Fetch the template again."),
    Reason.NO_AGREEMENT: Words(_DENIED, "No agreement in force covers this institution and purpose.", "Ask the owner for an agreement."),
    Reason.NO_CONSENT: Words(_DENIED, "No consent in force covers this question.", "Ask the subject for consent."),
    Reason.WRONG_PURPOSE: Words(_DENIED, "The template does not serve this purpose.", "Use a template approved for the purpose."),
    Reason.PAUSED: Words(_STATE, "The owner has paused this use.", "Ask the owner."),
    Reason.OVER_BUDGET: Words("RESOURCE_EXHAUSTED", "The question would tell more than the owner allows.", "Ask again in the next period, or ask a question already asked."),
    Reason.CONSENT_USED_UP: Words("RESOURCE_EXHAUSTED", "The consent's number of uses is spent.", "Ask the subject for a new consent."),
    Reason.PRICE_ONLY: Words(_STATE, "Only the price was asked; nothing was made.", "Ask for the thing itself."),
    Reason.MODEL_OUTDATED: Words(_STATE, "A feature that the model reads is computed otherwise than when it was trained.", "Train it anew, and propose a template of the new model."),
    Reason.NOT_YET_VALID: Words(_STATE, "It is not valid yet.", "Check your clock; wait for its first instant."),
    Reason.EXPIRED: Words(_STATE, "It is no longer valid.", "Make a new one."),
    Reason.NONCE_REUSED: Words("ALREADY_EXISTS", "The nonce was used for another question.", "Make a new request with a fresh nonce."),
    Reason.ROW_REPEATED: Words("ALREADY_EXISTS", "The same row stands earlier in the batch.", "Use the earlier row's answer."),
    Reason.STALE_HEAD: Words("UNAVAILABLE", "The enclave has not heard of the newest statements.", "Try again shortly."),
    Reason.HEAD_FROM_FUTURE: Words(_STATE, "The stream head is ahead of the enclave's clock.", "The operator checks the hosts' clocks."),
    Reason.BROKEN_STREAM: Words("DATA_LOSS", "The statement stream has a gap or does not fit its running hash.", "The operator delivers the whole stream; keep the evidence."),
    Reason.NOT_WITNESSED: Words("UNAVAILABLE", "Too few witnesses have cosigned the log lately.", "Try again shortly; if it lasts, keep the evidence and ask the witnesses."),
    Reason.CONFLICT: Words("ABORTED", "Something else was decided first.", "Fetch the current state and try again."),
    Reason.SANDBOX_TOO_WEAK: Words(_STATE, "The enclave's sandbox is below its charter's minimum.", "See the enclave's health for what the host lacks."),
    Reason.LOCKED: Words("UNAVAILABLE", "The enclave has not been given its key.", "Start the owner's key agent."),
    Reason.NO_DATA: Words(_STATE, "The owner has loaded no data.", "The owner loads its data."),
    Reason.SNAPSHOT_GONE: Words(_STATE, "The enclave keeps no such snapshot.", "List the versions that are kept, or load the data again."),
    Reason.OUTBOX_WAITING: Words("UNAVAILABLE", "Earlier answers are not in the log yet.", "Try again shortly."),
    Reason.UNAVAILABLE: Words("UNAVAILABLE", "A part of the room is not reachable.", "Try again; a repeat is not charged twice."),
    Reason.SOURCE_PENDING: Words("UNAVAILABLE", "The owner's source is being asked about the subject.", "Ask the same again in a moment; it is charged once."),
    Reason.SOURCE_UNAVAILABLE: Words("UNAVAILABLE", "The owner's source cannot be reached.", "Try again later; nothing was charged."),
    Reason.DEADLINE: Words("DEADLINE_EXCEEDED", "The deadline passed.", "Try again; a repeat is not charged twice."),
    Reason.WITHHELD: Words(_STATE, "Withheld.", "Nothing more can be told."),
    Reason.NOT_INSTALLED: Words(_STATE, "This command needs more than the light client.", "Install saferoom[room]."),
    Reason.BAD_CONFIG: Words(_BAD, "The configuration is not usable.", "Correct what is named."),
    Reason.INTERNAL: Words("INTERNAL", "The room failed.", "Tell the operator the request id."),
}  # fmt: skip
"""Every reason's words. A test holds it complete."""
