"""Ways to ask what may not be asked, each as a bank with a valid certificate can try it.

Where the SDK would not ask, statements are made by hand, as an attacker's own program would.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from saferoom_attacks.ask import (
    BANK,
    FORMER_BANK,
    LEFT_BANK,
    RIVALS,
    STRANGER,
    Question,
    Row,
    Told,
    Trick,
)
from saferoom_attacks.firms import CHECKS, MIDDLE, OWNER, TURNOVER
from saferoom_attacks.ground import FORMERLY, UNAPPROVED, WITHDRAWN, Ground
from saferoom_attacks.patience import reason_of, verdict_of
from saferoom_client.question import Question as Signed
from saferoom_client.values import TemplateView
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import SafeRoomError
from saferoom_proto.statements import CheckRequest, Purpose, seal_statement

REVOKED_BANK, USED_BANK, DEPUTY, THIEF = RIVALS[:4]
"""Banks whose consent was taken back, whose consent is used up, to which another firm consented,
and that has got hold of another's signed question."""
HARMLESS: Final = Question.at("in-arrears")
"""May be asked, and tells nothing of the bit that a trick is after."""


@dataclass(frozen=True, slots=True)
class _Way:
    """Who asks, for what, and by which template, if it is not the question's own."""

    bank: str
    purpose: Purpose = Purpose.PRE_LOAN
    template: str = ""


_WAYS: Final[Mapping[Trick, _Way]] = {
    Trick.NO_CONSENT: _Way(STRANGER),
    Trick.OTHERS_CONSENT: _Way(DEPUTY),
    Trick.REVOKED: _Way(REVOKED_BANK),
    Trick.USED_UP: _Way(USED_BANK),
    Trick.OTHER_PURPOSE: _Way(BANK, Purpose.IN_LOAN),
    Trick.FOREIGN_PURPOSE: _Way(BANK, Purpose.POST_LOAN),
    Trick.FORMER_AGREEMENT: _Way(FORMER_BANK, Purpose.IN_LOAN),
    Trick.ENDED_AGREEMENT: _Way(LEFT_BANK),
    Trick.UNAPPROVED: _Way(BANK, template=UNAPPROVED),
    Trick.WITHDRAWN: _Way(BANK, template=WITHDRAWN),
    Trick.FORMER_FEATURE: _Way(BANK, template=FORMERLY),
    Trick.BORROWED_CERTIFICATE: _Way(BANK, template=UNAPPROVED),
    Trick.SAME_NAME: _Way(BANK),
    Trick.LAXER_CHARTER: _Way(STRANGER),
    Trick.FINER_LITERAL: _Way(BANK),
}
_ASK: Final = "turnover-least"
_ByHand = Callable[[Ground, str, Question], Told]


def play(ground: Ground, trick: Trick, rows: Sequence[Row]) -> list[Told]:
    """Ask rows by a trick; gives what the room says to each."""
    if (by_hand := _BY_HAND.get(trick)) is not None:
        return [_or_reason(by_hand, ground, *row) for row in rows]
    way = _WAYS[trick]
    room = ground.room(way.bank)
    try:
        template = _template(ground, trick, way)
        asked = [(subject, dict(each.params)) for subject, each in rows]
        answer = verdict_of(partial(room.check_many, template, asked, purpose=way.purpose))
    except SafeRoomError as refused:
        return [reason_of(refused)] * len(rows)
    finally:
        room.session.views.clear()  # what was put there was ours
    return [row.truth or row.reason or _nothing() for row in answer]


def _template(ground: Ground, trick: Trick, way: _Way) -> str:
    """Give what a trick asks by, having prepared it; what the room refuses of that ends it."""
    room = ground.room(way.bank)
    asked = ground.templates[way.template or _ASK]
    match trick:
        case Trick.FORMER_FEATURE:
            _keep(ground, asked, ground.former)
        case Trick.BORROWED_CERTIFICATE:
            approved = room.get_template(ground.templates[_ASK])
            view = room.get_template(asked)
            _keep(ground, asked, replace(view, certificate=approved.certificate))
        case Trick.SAME_NAME:
            ground.propose("namesake", CHECKS[_ASK] + " AND tax.turnover >= 4", known_as=_ASK)
            return _ASK  # by its name: the newest of that name
        case Trick.FINER_LITERAL:
            return _finer(ground)
        case Trick.LAXER_CHARTER:
            now = room.get_charter(OWNER)
            laxer = now.charter.model_copy(
                update={"version": now.charter.version + 1, "previous": now.digest, "threshold": 1}
            )
            room.put_charter(seal_statement(laxer, room.profile.signing_key))
        case _:
            pass
    return asked


def _finer(ground: Ground) -> str:
    """Sign an approved template with a literal in it that is on no grid; gives its digest.

    The SDK hands in no such template, so nobody has it but who asks by it.
    """
    room = ground.room(BANK)
    approved = room.get_template(ground.templates[_ASK])
    check = f"{approved.template.check} AND {TURNOVER.ref} >= {MIDDLE - 1}"
    template = approved.template.model_copy(update={"check": check})
    envelope = seal_statement(template, room.profile.signing_key)
    _keep(ground, envelope.digest, replace(approved, template=template, envelope=envelope))
    return envelope.digest


def _keep(ground: Ground, template: str, view: TemplateView | None) -> None:
    """Have the SDK take a template for what we say that it is."""
    if view is not None:
        ground.room(BANK).session.views[template] = view


def _or_reason(ask: _ByHand, ground: Ground, subject: str, question: Question) -> Told:
    try:
        return verdict_of(partial(ask, ground, subject, question))
    except SafeRoomError as refused:
        return reason_of(refused)


# Tricks with a statement that was altered, stolen or made up: one by one, by hand.


def _prepared(ground: Ground, subject: str, question: Question) -> Signed:
    """Have the bank sign what it may ask."""
    return ground.room(BANK).prepare(
        ground.templates[question.template],
        subject=subject,
        purpose=Purpose.PRE_LOAN,
        params=dict(question.params),
    )


def _anothers_question(ground: Ground, subject: str, question: Question) -> Told:
    """A bank sends what another bank has signed."""
    return ground.room(THIEF).ask(_prepared(ground, subject, question)).truth


def _other_subject(ground: Ground, subject: str, question: Question) -> Told:
    """A signed question gets another subject."""
    other = next(code for code in ground.firms if code != subject)
    genuine = _prepared(ground, other, question)
    payload = genuine.envelope.payload.replace(other.encode(), subject.encode())
    altered = Envelope(genuine.envelope.payload_type, payload, genuine.envelope.signatures)
    return _sent(ground, BANK, genuine, altered)


def _own_name(ground: Ground, subject: str, question: Question) -> Told:
    """A bank asks in the name of another, and signs that itself."""
    genuine = _prepared(ground, subject, question)
    key = ground.room(STRANGER).profile.signing_key
    return _sent(ground, STRANGER, genuine, seal_statement(genuine.request, key))


def _same_nonce(ground: Ground, subject: str, question: Question) -> Told:
    """A question takes the nonce of one that was answered."""
    used = _prepared(ground, subject, HARMLESS)
    ground.room(BANK).ask(used)
    fresh = _prepared(ground, subject, question)
    request = fresh.request.model_copy(update={"nonce": used.request.nonce})
    key = ground.room(BANK).profile.signing_key
    return _sent(ground, BANK, fresh, seal_statement(request, key))


def _stale(ground: Ground, subject: str, question: Question) -> Told:
    """A question comes when its window has passed."""
    fresh = _prepared(ground, subject, question)
    late = fresh.request.not_before - (fresh.request.not_after - fresh.request.not_before)
    request = fresh.request.model_copy(
        update={"not_before": late, "not_after": fresh.request.not_before}
    )
    key = ground.room(BANK).profile.signing_key
    return _sent(ground, BANK, fresh, seal_statement(request, key))


def _sent(ground: Ground, bank: str, genuine: Signed, envelope: Envelope) -> Told:
    """Send a question whose envelope we made; its answer would open with the key that we have."""
    request = CheckRequest.model_validate_json(envelope.payload)
    return ground.room(bank).ask(Signed(envelope, request, genuine.reply_key)).truth


def _nothing() -> Told:
    raise AssertionError("a row has an answer or a reason")


_BY_HAND: Final[Mapping[Trick, _ByHand]] = {
    Trick.ANOTHERS_QUESTION: _anothers_question,
    Trick.OTHER_SUBJECT: _other_subject,
    Trick.OWN_NAME: _own_name,
    Trick.SAME_NONCE: _same_nonce,
    Trick.OUT_OF_TIME: _stale,
}
