"""What a bank's program does about a refused question: try the same again, ask anew, or leave it.

`docs/banks.md` shows this table; a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from saferoom_proto.reasons import Reason


class Again(StrEnum):
    """Whether asking once more can help."""

    SAME = "same"
    """The same signed question, after a pause: nothing was decided, nothing is charged twice."""
    NEW = "new"
    """A new question, once what was wrong is put right. The old one keeps its answer for good."""
    NEVER = "never"
    """Not by asking: a person has to look."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do about a reason."""

    again: Again
    step: str


ADVICE: Final[dict[Reason, Advice]] = {
    # The room's state: nothing was decided.
    Reason.UNAVAILABLE: Advice(Again.SAME, "A part of the room is down or starting; it comes back by itself."),
    Reason.DEADLINE: Advice(Again.SAME, "It took longer than you wait; the answer is there when you ask again."),
    Reason.TOO_MANY_REQUESTS: Advice(Again.SAME, "Wait as long as `RetryInfo` says; the client does so by itself."),
    Reason.LOCKED: Advice(Again.SAME, "The owner's enclave waits for its key: minutes. If it lasts, call the owner."),
    Reason.STALE_HEAD: Advice(Again.SAME, "The enclave catches up within seconds."),
    Reason.OUTBOX_WAITING: Advice(Again.SAME, "The log catches up within seconds."),
    Reason.NOT_WITNESSED: Advice(Again.SAME, "Witnesses cosign within seconds. If it lasts, keep what you have and ask one of them."),
    Reason.NO_DATA: Advice(Again.SAME, "The owner has not loaded its data, or is loading it. If it lasts, call the owner."),
    Reason.SOURCE_PENDING: Advice(Again.SAME, "The owner's source is being asked; the client asks again by itself."),
    Reason.SOURCE_UNAVAILABLE: Advice(Again.SAME, "The owner's source is down or over its limit: minutes. If it lasts, call the owner."),
    Reason.CONFLICT: Advice(Again.SAME, "Something else came first."),
    Reason.INTERNAL: Advice(Again.SAME, "Once. If it fails again, give the operator the request id."),
    # The question itself.
    Reason.MALFORMED: Advice(Again.NEW, "Correct the field that is named."),
    Reason.MALFORMED_SUBJECT: Advice(Again.NEW, "Correct the code: 18 characters, the last one checks the others."),
    Reason.TOO_LARGE: Advice(Again.NEW, "Send less at once."),
    Reason.OFF_DOMAIN: Advice(Again.NEW, "Give exactly the parameters that `template show` lists."),
    Reason.OFF_GRID: Advice(Again.NEW, "Use one of the points that `template show` lists."),
    Reason.UNKNOWN_STATEMENT: Advice(Again.NEW, "The room knows no such template: see `template list`."),
    Reason.WRONG_PURPOSE: Advice(Again.NEW, "Ask for a purpose that the template serves."),
    Reason.EXPIRED: Advice(Again.NEW, "The question's window has passed, or your clock is wrong."),
    Reason.NOT_YET_VALID: Advice(Again.NEW, "Your clock is ahead: set it."),
    Reason.NONCE_REUSED: Advice(Again.NEW, "Make each question with `prepare` or `check`, never a copy."),
    Reason.CERTIFICATE_MISMATCH: Advice(Again.NEW, "A feature changed: the owners approve the template anew first."),
    # What was allowed.
    Reason.NO_CONSENT: Advice(Again.NEW, "Ask the subject for its consent first."),
    Reason.CONSENT_USED_UP: Advice(Again.NEW, "Ask the subject for a new consent."),
    Reason.NOT_APPROVED: Advice(Again.NEW, "Once every owner has approved: `template list` shows who has not."),
    Reason.NO_AGREEMENT: Advice(Again.NEW, "Once an agreement with the owner covers the purpose and your key."),
    Reason.PAUSED: Advice(Again.NEW, "Once the owner lets the use go on; the refusal of this one is final."),
    Reason.OVER_BUDGET: Advice(Again.NEW, "In the next period, or ask what was asked already: `cost` tells."),
    Reason.MODEL_OUTDATED: Advice(Again.NEW, "Train anew: a feature that the model reads is computed otherwise by now."),
    Reason.UNAUTHENTICATED: Advice(Again.NEW, "Once your member folder holds a certificate that the room knows."),
    Reason.CERTIFICATE_REVOKED: Advice(Again.NEW, "Once the identity issuer has given you a new certificate."),
    Reason.NOT_ALLOWED: Advice(Again.NEVER, "Ask as a member of an organisation that may: `saferoom whoami` tells your roles."),
    Reason.WITHHELD: Advice(Again.NEVER, "Nothing more can be told; the price stays paid."),
    # What must not be trusted.
    Reason.BAD_SIGNATURE: Advice(Again.NEVER, "Keep what you have, use no answer, and tell the auditor."),
    Reason.BAD_PROOF: Advice(Again.NEVER, "Keep what you have, use no answer, and tell the auditor."),
    Reason.BAD_SEAL: Advice(Again.NEVER, "Keep what you have, use no answer, and tell the auditor."),
    Reason.BAD_ENDORSEMENT: Advice(Again.NEVER, "Keep what you have, use no answer, and tell the owner."),
    Reason.BAD_CHARTER: Advice(Again.NEVER, "Pin the owner's charter root, which the owner gives you itself."),
    Reason.STORE_DAMAGED: Advice(Again.NEVER, "The owner restores its store; ask anew afterwards."),
    Reason.STORE_ROLLED_BACK: Advice(Again.NEVER, "Tell the owner and the auditor."),
}  # fmt: skip
"""Every reason that a bank's check can meet."""

NOTHING_KNOWN: Final = Advice(Again.NEVER, "Tell the operator the request id.")


def advice(reason: Reason) -> Advice:
    """Give what to do about a reason."""
    return ADVICE.get(reason, NOTHING_KNOWN)
