"""Step 5 of a check: is this question allowed (`docs/life-of-a-check.md`).

`identify` finds whose question it is; nobody else's is recorded. `admit` holds it to everything
that was said about such questions. Nothing here looks at a record.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from datetime import datetime, timedelta
from typing import Final, final

from saferoom_enclaves.approved import ApprovedUse, ApprovedUses, BoundUse
from saferoom_enclaves.consents import Consents, Covering
from saferoom_enclaves.evidence import Evidence, Right
from saferoom_enclaves.models import Models
from saferoom_enclaves.offers import Offered
from saferoom_enclaves.requests import Seen
from saferoom_enclaves.standing import Standing
from saferoom_enclaves.state import State
from saferoom_proto import hpke
from saferoom_proto.asked import Question
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import unb64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    BatchRequest,
    CheckRequest,
    FitRequest,
    JobRequest,
    ListRequest,
    TableRequest,
    load,
)
from saferoom_proto.statements.request import SubjectRequest
from saferoom_proto.verification import PinnedAgreement, verify_request

LONGEST_WINDOW: Final = timedelta(minutes=10)
"""From not_before to not_after, for a single check."""


class _Identification(Right):
    __slots__ = ()


class _ListIdentification(Right):
    __slots__ = ()


class _Admission(Right):
    __slots__ = ()


_IDENTIFIED: Final = _Identification()
_LIST_IDENTIFIED: Final = _ListIdentification()
_ADMITTED: Final = _Admission()


@final
@dataclass(frozen=True, slots=True, eq=False)
class Asked(Evidence):
    """A question that a known institution signed."""

    right: InitVar[_Identification]
    request: CheckRequest
    request_id: str
    reply_key: bytes
    agreement: PinnedAgreement

    def __post_init__(self, right: _Identification) -> None:
        _IDENTIFIED.require(right)

    @property
    def offer(self) -> str:
        """Of a blind match, the id of its first message."""
        match = self.request.match
        return self.request_id if match is None else match.offer


@final
@dataclass(frozen=True, slots=True, eq=False)
class AskedList(Evidence):
    """A request for a page of a list that a known institution signed."""

    right: InitVar[_ListIdentification]
    envelope: Envelope
    request: ListRequest
    request_id: str
    reply_key: bytes
    agreement: PinnedAgreement

    def __post_init__(self, right: _ListIdentification) -> None:
        _LIST_IDENTIFIED.require(right)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Admitted(Evidence):
    """A question that the owner, the agreement and the subject allow."""

    right: InitVar[_Admission]
    asked: Asked
    use: ApprovedUse
    bound: BoundUse
    consent: Covering | None

    def __post_init__(self, right: _Admission) -> None:
        _ADMITTED.require(right)


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a request may run, bound to its parameters, and the consent that covers it."""

    use: ApprovedUse
    bound: BoundUse
    consent: Covering | None


@dataclass(frozen=True, slots=True)
class Rules:
    """What a question is held to."""

    standing: Standing
    uses: ApprovedUses
    consents: Consents
    state: State
    models: Models

    def require_remembered(self, not_before: datetime) -> None:
        """Refuse what may have been answered by a copy of this enclave that was lost.

        A repeat must get the stored answer, and that answer is forgotten.

        Raises:
            SafeRoomError: `EXPIRED`.
        """
        if not_before <= self.state.marks.forgotten_until:
            raise SafeRoomError(Reason.EXPIRED, "from before the enclave lost its memory; ask anew")


def identify(envelope: Envelope, standing: Standing, now: datetime) -> Asked:
    """Find out whose question it is.

    Raises:
        SafeRoomError: `MALFORMED`, `MALFORMED_SUBJECT`, `NO_AGREEMENT` or `BAD_SIGNATURE`; none of
            these is recorded, since nobody is known to have asked.
    """
    # 5.2: it is a question at all ...
    request = load(envelope, CheckRequest)
    reply_key = unb64(request.reply_key)
    hpke.require_public(reply_key)
    agreement = agreed(envelope, request, standing, now)
    return Asked(_IDENTIFIED, request, envelope.digest, reply_key, agreement)


def identify_public(envelope: Envelope, standing: Standing, now: datetime) -> Asked | AskedList:
    """Find out whose question it is: for a report about a subject, or for a page of a list.

    Raises:
        SafeRoomError: as `identify`.
    """
    if envelope.payload_type != ListRequest.payload_type():
        return identify(envelope, standing, now)
    request = load(envelope, ListRequest)
    reply_key = unb64(request.reply_key)
    hpke.require_public(reply_key)
    agreement = agreed(envelope, request, standing, now)
    return AskedList(_LIST_IDENTIFIED, envelope, request, envelope.digest, reply_key, agreement)


def agreed(
    envelope: Envelope, request: Question, standing: Standing, now: datetime
) -> PinnedAgreement:
    """Find the agreement under which a member of an institution signed a request.

    Raises:
        SafeRoomError: `NO_AGREEMENT` or `BAD_SIGNATURE`.
    """
    # ... and a key of an agreement in force signed it, for a purpose that was agreed.
    refusal = SafeRoomError(Reason.NO_AGREEMENT, f"none in force with {request.institution}")
    for known in standing.agreements(request.institution):
        if not known.agreement.valid_from <= now < known.agreement.valid_to:
            continue
        try:
            verify_request(envelope, type(request), known, now, standing.revoked_certificates)
        except SafeRoomError as error:
            refusal = error
            continue
        return known
    raise refusal


def admit(
    asked: Asked, seen: Seen, rules: Rules, now: datetime, offered: Offered | None = None
) -> Admitted:
    """Hold a question to all that was said about such questions, cheapest first.

    Raises:
        SafeRoomError: the reason is the verdict that is recorded.
    """
    used = None if offered is None else offered.consent
    request, agreement = asked.request, asked.agreement
    allowed = allow(request, agreement, seen, rules, now, offer=asked.offer, used=used)
    return Admitted(_ADMITTED, asked, allowed.use, allowed.bound, allowed.consent)


def allow(
    request: SubjectRequest,
    agreement: PinnedAgreement,
    seen: Seen,
    rules: Rules,
    now: datetime,
    *,
    offer: str,
    used: str | None = None,
) -> Allowed:
    """Hold a request about a subject to the rules, whether it asks or asks for the price.

    Args:
        request: the request.
        agreement: under which it is asked.
        seen: whether it was asked before.
        rules: what it is held to.
        now: the instant.
        offer: of a blind match, the id of its first message.
        used: of its second one, the digest of the consent that the first was charged to.

    Raises:
        SafeRoomError: what a question would be refused for.
    """
    # 5.3 and 5.4: it is new, and of now.
    seen.require_fresh_nonce()
    # 5.5 to 5.7: the owner lets this template run, for this purpose, exactly as it was approved.
    use = approved_use(request, rules, now)
    # 5.8: every value asked about stands on its feature's grid.
    params = request.params
    bound = use.bound_blindly(params, offer) if use.blind else use.bound(params)
    require_model(use, request.template, agreement, rules)
    # 5.9: the subject lets this institution ask this.
    consent = None
    if use.part.needs_consent:
        consent = rules.consents.covering(request, use.definitions, now, used)
    return Allowed(use, bound, consent)


def approved_use(
    request: SubjectRequest | BatchRequest, rules: Rules, now: datetime
) -> ApprovedUse:
    """Find what the owner approved, for a request that is of now.

    Raises:
        SafeRoomError: what a question would be refused for.
    """
    require_of_now(request, rules, now)
    return rules.uses.use(request.template, request.certificate)


def require_model(
    use: ApprovedUse, template: str, agreement: PinnedAgreement, rules: Rules
) -> None:
    """Of a score: its model is here, of what is read now, and the asker may use it.

    Raises:
        SafeRoomError: as `Models.usable`.
    """
    if use.part.score is not None:
        group, asked = agreement.agreement.group, rules.standing.templates[template]
        rules.models.usable(use.part.score, asked, group, use.features.values())


def require_of_now(
    request: SubjectRequest | BatchRequest | TableRequest | JobRequest | FitRequest | ListRequest,
    rules: Rules,
    now: datetime,
) -> None:
    """Hold a request to its window, to what is paused, and to its template's purposes.

    Raises:
        SafeRoomError: `NOT_YET_VALID`, `EXPIRED`, `PAUSED` or `WRONG_PURPOSE`.
    """
    standing = rules.standing
    if now < request.not_before:
        raise SafeRoomError(Reason.NOT_YET_VALID, "the request")
    if now >= request.not_after:
        raise SafeRoomError(Reason.EXPIRED, "the request")
    rules.require_remembered(request.not_before)
    standing.require_running(request.template)
    template = standing.templates.get(request.template)
    if template is not None and request.purpose not in template.purposes:
        raise SafeRoomError(Reason.WRONG_PURPOSE, request.purpose)
