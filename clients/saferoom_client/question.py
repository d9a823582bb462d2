"""A signed question and the key that its answer is sealed to: all that is needed to ask again.

A check is known by the digest of its signed request. Whoever keeps the question can send it again
after any failure, gets the same answer byte for byte, and is charged once.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Final, Literal, Self

from pydantic import Field, StringConstraints, ValidationError

from saferoom_client.profile import Profile
from saferoom_client.values import TemplateView
from saferoom_proto.answer import seal_info
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64, parse_object, unb64
from saferoom_proto.formula import FeatureRef
from saferoom_proto.hpke import SealingKey
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.stated import in_form, tag_of
from saferoom_proto.statements import (
    CheckRequest,
    CostRequest,
    Purpose,
    Returns,
    load,
    seal_statement,
)
from saferoom_proto.statements.base import (
    Base64,
    Part,
    field_faults,
    fresh_nonce,
    whole_milliseconds,
)
from saferoom_proto.statements.request import BlindMatch
from saferoom_proto.uscc import parse_uscc

VALID_FOR: Final = timedelta(minutes=5)
"""How long a question may travel; an enclave takes no window of more than ten minutes."""
BACKDATED: Final = timedelta(minutes=1)
"""What the asker's clock may be ahead of an enclave's."""

Value = str | int | Decimal | bool


REPLY_KEY_LIFE: Final = timedelta(minutes=1)


class _Kept(Part):
    """A question as a file holds it."""

    format: Literal["saferoom-question/v1"] = "saferoom-question/v1"
    request: Annotated[str, StringConstraints(max_length=64 * 1024)]
    reply_key: Base64
    tag: Annotated[Base64 | None, Field(exclude_if=operator.not_)] = None
    """Of a blind match's first message alone; of all others nothing is written."""


@dataclass(frozen=True, slots=True)
class Question:
    """A signed request, what it says, and its reply key.

    Attributes:
        envelope: the request as it was signed.
        request: what it says.
        reply_key: opens the answer.
        tag: of a blind match's first message, what stands for the value that it does not say.
    """

    envelope: Envelope
    request: CheckRequest
    reply_key: SealingKey = field(repr=False)
    tag: bytes | None = field(default=None, repr=False)

    @property
    def request_id(self) -> str:
        """The digest by which everybody knows the request."""
        return self.envelope.digest

    def open(self, sealed: bytes, owner: str) -> bytes:
        """Open what an owner's enclave sealed to the asker of this question.

        Raises:
            SafeRoomError: `BAD_SEAL` if it was sealed to another key, question or owner.
        """
        return self.reply_key.open(sealed, info=seal_info(self.request_id, owner))

    def to_json(self) -> bytes:
        """Write the question; it holds the key to its answer, so guard the file (mode 0600).

        Before a blind match's second message is made it holds the value's tag, too.
        """
        kept = _Kept(
            request=self.envelope.to_json().decode(),
            reply_key=b64(self.reply_key.to_bytes()),
            tag=None if self.tag is None else b64(self.tag),
        )
        return kept.model_dump_json().encode()

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read a kept question; `MALFORMED` names the field."""
        parse_object(data)
        try:
            kept = _Kept.model_validate_json(data)
        except ValidationError as error:
            raise SafeRoomError(Reason.MALFORMED, "question", field_faults(error)) from None
        envelope = Envelope.from_text(kept.request)
        reply_key = SealingKey.from_bytes(unb64(kept.reply_key))
        tag = None if kept.tag is None else unb64(kept.tag)
        return cls(envelope, load(envelope, CheckRequest), reply_key, tag)


def make_question(
    profile: Profile,
    view: TemplateView,
    *,
    subject: str,
    purpose: Purpose | str,
    params: Mapping[str, Value],
    now: datetime,
    valid_for: timedelta = VALID_FOR,
    reply_key: SealingKey | None = None,
    blind: bool = False,
) -> Question:
    """Sign a question about one subject.

    Args:
        profile: the member of the institution that asks.
        view: the verified template.
        subject: the 18-character unified social credit code.
        purpose: what the answer is for.
        params: a value for each of the template's parameters.
        now: the present instant.
        valid_for: how long the question may travel.
        reply_key: what the answer is sealed to; a fresh one if none is given.
        blind: whether the asker means to match its value without telling it.

    Raises:
        SafeRoomError: `MALFORMED_SUBJECT`, or `MALFORMED` naming the field; `NOT_ALLOWED` where
            the template says otherwise than `blind`.
    """
    _require_meant(view, blind=blind)
    fields = _fields(profile, view, subject, purpose, params) | _window(now, valid_for)
    tag = _tag(view, params) if view.template.returns is Returns.BLIND else None
    return _signed(profile, fields, reply_key or SealingKey.generate(), tag)


def make_second(profile: Profile, first: Question, match: BlindMatch) -> Question:
    """Sign the second message of a blind match: the first one's question, with its ciphertext.

    It has the first one's window, with which the offer ends.
    """
    asked = first.request.model_dump(exclude={"reply_key", "match"})
    fields = asked | {"nonce": fresh_nonce(), "match": match}
    return _signed(profile, fields, SealingKey.generate(), None)


def _signed(
    profile: Profile, fields: Mapping[str, object], reply_key: SealingKey, tag: bytes | None
) -> Question:
    try:
        request = CheckRequest.model_validate({**fields, "reply_key": b64(reply_key.public)})
    except ValidationError as error:
        raise SafeRoomError(Reason.MALFORMED, "question", field_faults(error)) from None
    return Question(seal_statement(request, profile.signing_key), request, reply_key, tag)


def _tag(view: TemplateView, params: Mapping[str, Value]) -> bytes:
    """Give what stands for the value of a blind match, in the form that its feature names.

    Raises:
        SafeRoomError: `OFF_DOMAIN` without just that value, or if nothing of it is left.
    """
    ((name, parameter),) = view.template.params.items()
    given = params.get(name)
    stated = view.features[FeatureRef.parse(parameter.feature)].definition.stated
    said = in_form(given, stated.form) if isinstance(given, str) and stated is not None else ""
    if len(params) != 1 or not said:
        rule = "the one value that is matched; it stays with you"
        raise SafeRoomError(Reason.OFF_DOMAIN, rule, [FieldFault(f"params.{name}", rule)])
    return tag_of(said)


def make_cost_request(
    profile: Profile,
    view: TemplateView,
    *,
    subject: str,
    purpose: Purpose | str,
    params: Mapping[str, Value],
    now: datetime,
    valid_for: timedelta = VALID_FOR,
    blind: bool = False,
) -> tuple[Envelope, CostRequest]:
    """Sign a request for what a question would cost; the arguments are the question's.

    Raises:
        SafeRoomError: as for the question.
    """
    _require_meant(view, blind=blind)
    fields = _fields(profile, view, subject, purpose, params) | _window(now, valid_for)
    try:
        request = CostRequest.model_validate(fields)
    except ValidationError as error:
        raise SafeRoomError(Reason.MALFORMED, "question", field_faults(error)) from None
    return seal_statement(request, profile.signing_key), request


def _require_meant(view: TemplateView, *, blind: bool) -> None:
    """Refuse to match what was meant to be told, and to tell what was meant to be matched.

    Which template a name stands for is said by the room: it must not choose whether it reads the
    value.
    """
    if blind is (view.template.returns is Returns.BLIND):
        return
    name = view.template.name
    if blind:
        rule = f"{name} matches nothing blindly: your value would be told to the enclave"
        step = f"saferoom template show {name}"
    else:
        rule = f"{name} matches blindly: ask it with --blind, or blind=True"
        step = f"saferoom check {name} --blind"
    refusal = SafeRoomError(Reason.NOT_ALLOWED, rule, [FieldFault("blind", rule)])
    refusal.add_note(step)
    raise refusal


def _fields(
    profile: Profile,
    view: TemplateView,
    subject: str,
    purpose: Purpose | str,
    params: Mapping[str, Value],
) -> dict[str, object]:
    blind = view.template.returns is Returns.BLIND
    return {
        "room": profile.card.origin,
        "institution": profile.member.organisation,
        "template": view.envelope.digest,
        "certificate": view.certificate.digest,
        "subject": parse_uscc(subject),
        "params": {} if blind else {name: write_value(name, params[name]) for name in params},
        "purpose": read_purpose(purpose),
        "nonce": fresh_nonce(),
    }


def _window(now: datetime, valid_for: timedelta) -> dict[str, object]:
    moment = whole_milliseconds(now)
    return {"not_before": moment - BACKDATED, "not_after": moment + valid_for}


def read_purpose(text: str) -> Purpose:
    """Read a purpose from the closed list."""
    try:
        return Purpose(text)
    except ValueError:
        rule = f"one of {', '.join(Purpose)}"
        raise SafeRoomError(Reason.MALFORMED, rule, [FieldFault("purpose", rule)]) from None


def write_value(name: str, value: object) -> str | bool:
    """Write a parameter's value as requests hold it; numbers in plain digits, never as a float."""
    match value:
        case bool() | str():
            return value
        case int():
            return str(value)
        case Decimal() if value.is_finite():
            return format(value, "f")
        case _:
            rule = "a text, a whole number, a finite Decimal or a bool"
            raise SafeRoomError(Reason.MALFORMED, rule, [FieldFault(f"params.{name}", rule)])


class ReplyKeys:
    """A session's own reply keys: each serves for a minute of its checks, and is then forgotten.

    Making one takes a fifth of a millisecond. A question that is kept in a file has its own key.
    """

    __slots__ = ("_key", "_until")

    def __init__(self) -> None:
        self._key: SealingKey | None = None
        self._until = datetime.min.replace(tzinfo=UTC)

    def current(self, now: datetime) -> SealingKey:
        """Give the key of this minute."""
        if self._key is None or not self._until - REPLY_KEY_LIFE <= now < self._until:
            self._key, self._until = SealingKey.generate(), now + REPLY_KEY_LIFE
        return self._key
