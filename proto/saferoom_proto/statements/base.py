"""The shared parts of signed payloads: scalar types, strict opening, and the payload base class."""

from __future__ import annotations

import os
import unicodedata
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, ClassVar, Final, TypeVar, cast

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from saferoom_proto.dsse import Envelope, sign
from saferoom_proto.encoding import b64, parse_object, unb64
from saferoom_proto.keys import SigningKey, VerifyKey
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.suite import Suite, suite_of
from saferoom_proto.uscc import parse_uscc

MAX_PAYLOAD_BYTES: Final = 256 * 1024
"""A charter with a dozen certificates is 30 KiB; a statement past this is an attack."""


_NONCE_BYTES: Final = 16

MOST_FAULTS: Final = 100
"""Faults of one document that are told one by one."""

OPENED_KEPT: Final = 256
"""Opened payloads kept: a request is opened in several steps of one check, each time in 50 us."""


def _milliseconds(value: datetime) -> datetime:
    moment = value.astimezone(UTC)
    if moment.microsecond % 1000:
        raise ValueError("an instant has whole milliseconds")
    return moment


def format_instant(value: datetime) -> str:
    """Give an instant the one form it has in a statement: RFC 3339, UTC, milliseconds."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def whole_milliseconds(value: datetime) -> datetime:
    """Cut an instant to the milliseconds that a statement can hold."""
    return value - timedelta(microseconds=value.microsecond % 1000)


def fresh_nonce() -> str:
    """Make what no other statement carries: 16 random bytes, base64.

    Among 2**40 of them two are the same with a chance of 2**-49.
    """
    return b64(os.urandom(_NONCE_BYTES))


def _raw_key(value: str, info: ValidationInfo) -> str:
    try:
        key = VerifyKey.from_public(value)
    except SafeRoomError:
        raise ValueError("not an Ed25519 or SM2 public key in base64") from None
    _require_suite(key.suite, info)
    return value


def _of_suite(value: str, info: ValidationInfo) -> str:
    _require_suite(suite_of(value), info)
    return value


def _require_suite(suite: Suite, info: ValidationInfo) -> None:
    """Refuse what is of another suite than the statement that is opened (`load`)."""
    opened = cast("Suite | None", info.context)
    if opened not in (None, suite):
        raise ValueError("of another crypto suite than the statement")


def shown_as_written(value: str) -> str:
    """Refuse characters that change how a text is shown: what is approved must be what is seen."""
    hidden = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    if any(unicodedata.category(one) in hidden for one in value):
        raise ValueError("control, formatting and private characters are not text")
    return value


def _exact_uscc(value: str) -> str:
    if parse_uscc(value) != value:
        raise ValueError("a code has 18 characters, its letters in upper case")
    return value


def _known_bytes(value: str) -> str:
    try:
        unb64(value)
    except SafeRoomError:
        raise ValueError("not base64") from None
    return value


Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
"""An organisation's, a template's or a person's handle: lower case, digits, `-` and `_`."""
Owner = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
"""A data owner, a feature, a table or a column: an identifier of the formula language."""
FeatureName = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}\.[a-z][a-z0-9_]{0,62}$")
]
"""A feature as everybody names it: `owner.name`."""
Origin = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{0,252}(/[a-z0-9-]{1,63})*$")
]
"""The ledger's origin, which is the room's name: a host name without a scheme, and a path."""
Text = Annotated[
    str, StringConstraints(min_length=1, max_length=4000), AfterValidator(shown_as_written)
]
ShortText = Annotated[
    str, StringConstraints(min_length=1, max_length=200), AfterValidator(shown_as_written)
]
"""What people read before they sign; no character in it changes how the rest is shown."""
Version = Annotated[int, Field(ge=1, le=1_000_000)]
"""Counts up by one; the bound keeps a signed number from closing the way for ever."""
Digest = Annotated[
    str, StringConstraints(pattern=r"^(sha256|sm3):[0-9a-f]{64}$"), AfterValidator(_of_suite)
]
"""By the hash of the statement's suite."""
OutsideDigest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
"""Of what is no part of the room's records: connections, code, hardware. SHA-256 in both suites."""
Fingerprint = Annotated[str, StringConstraints(pattern=r"^(sha256|sm3):[0-9a-f]{64}$")]
"""Of a certificate, by the hash that its issuer signed it with."""
Nonce = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{22}==$")]
"""Base64 of 16 bytes, made by `fresh_nonce`."""
Uscc = Annotated[str, AfterValidator(_exact_uscc)]
PublicKey = Annotated[str, AfterValidator(_raw_key)]
"""A public key, base64: 32 bytes of Ed25519 or, in a statement of the suite guomi, 65 of SM2."""
Base64 = Annotated[str, StringConstraints(max_length=128 * 1024), AfterValidator(_known_bytes)]
Instant = Annotated[
    AwareDatetime, AfterValidator(_milliseconds), PlainSerializer(format_instant, when_used="json")
]


class Purpose(StrEnum):
    """What an answer is for: a closed list (DESIGN section 6)."""

    PRE_LOAN = "pre-loan"
    IN_LOAN = "in-loan"
    POST_LOAN = "post-loan"
    PRODUCT_DESIGN = "product-design"
    SUPERVISION = "supervision"


class Usage(StrEnum):
    """Whose key signs a kind of statement."""

    ROOT = "charter root"
    APPROVER = "approver"
    INSTITUTION = "institution"
    SUBJECT = "subject"
    ISSUER = "identity issuer"
    KEY_AGENT = "key agent"
    ENCLAVE = "enclave"
    ROOM = "room"
    SUPERVISOR = "supervisor"


class Part(BaseModel):
    """A part of a payload: frozen, strict, and closed to unknown fields."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Title(Part):
    """A name for people, in both languages of the room."""

    en: ShortText
    zh: ShortText


class Payload(Part):
    """What a statement says. Each kind has its own payload type and one kind of signer."""

    KIND: ClassVar[str]
    SIGNED_BY: ClassVar[Usage]

    room: Annotated[
        str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{0,252}(/[a-z0-9-]{1,63})*$")
    ]
    """The ledger's origin: a statement of one room means nothing in another."""

    @classmethod
    def payload_type(cls) -> str:
        """Give the DSSE payload type of this kind, version included."""
        return f"application/vnd.saferoom.{cls.KIND}.v1+json"

    def to_bytes(self) -> bytes:
        """Encode the payload as it is signed."""
        return self.model_dump_json().encode()


class ValidFor(Payload):
    """A payload that counts from its first instant up to, not including, its last."""

    valid_from: Instant
    valid_to: Instant

    @model_validator(mode="after")
    def _in_order(self) -> ValidFor:
        if self.valid_from >= self.valid_to:
            raise ValueError("valid_from must be before valid_to")
        return self

    def require_valid(self, now: datetime) -> None:
        """Refuse outside the validity: `NOT_YET_VALID` or `EXPIRED`."""
        if now < self.valid_from:
            raise SafeRoomError(Reason.NOT_YET_VALID, f"{self.KIND} from {self.valid_from}")
        if now >= self.valid_to:
            raise SafeRoomError(Reason.EXPIRED, f"{self.KIND} to {self.valid_to}")


P = TypeVar("P", bound=Payload)


def load(envelope: Envelope, kind: type[P]) -> P:
    """Open an envelope as one kind of statement. Signatures are the caller's to verify.

    A payload has one encoding, that of `Payload.to_bytes`: fields in the order of their kind, no
    white space, instants in milliseconds and UTC, numbers as they print. So no two readers can
    take the same bytes for different things, nor one reader two forms for one thing. Digests and
    keys in it are of the envelope's suite.

    Raises:
        SafeRoomError: `MALFORMED` for another payload type, duplicate keys, unknown fields, a
            second document, another encoding, or a value outside its rule; the faults name the
            fields.
    """
    if envelope.payload_type != kind.payload_type():
        detail = f"expected {kind.payload_type()}"
        raise SafeRoomError(Reason.MALFORMED, detail, [FieldFault("payloadType", detail)])
    opened = _open(kind, envelope.payload, envelope.suite)
    if not isinstance(opened, kind):
        raise SafeRoomError(Reason.INTERNAL, "opened as another kind")
    return opened


@lru_cache(maxsize=OPENED_KEPT)
def _open(kind: type[Payload], payload: bytes, suite: Suite) -> Payload:
    """Open a payload, or give what the same bytes were opened to before: it is frozen."""
    # Whatever encodes to these very bytes holds no key twice, no second document and no other form
    # of a value. The strict reader is asked for the rest: it names what is wrong.
    if len(payload) > MAX_PAYLOAD_BYTES:
        parse_object(payload, MAX_PAYLOAD_BYTES)
    try:
        opened = kind.model_validate_json(payload, context=suite)
        canonical = opened.to_bytes()
    except ValidationError as error:
        parse_object(payload, MAX_PAYLOAD_BYTES)
        raise SafeRoomError(Reason.MALFORMED, kind.KIND, field_faults(error)) from None
    except OverflowError:
        parse_object(payload, MAX_PAYLOAD_BYTES)
        fault = FieldFault("(whole)", "an instant is outside of the calendar")
        raise SafeRoomError(Reason.MALFORMED, kind.KIND, [fault]) from None
    if canonical != payload:
        parse_object(payload, MAX_PAYLOAD_BYTES)
        fault = FieldFault("(whole)", "not in the one encoding of its kind")
        raise SafeRoomError(Reason.MALFORMED, kind.KIND, [fault])
    return opened


def field_faults(error: ValidationError) -> list[FieldFault]:
    """Name each wrong field and the rule it breaks, never the value; many are only counted.

    To tell half a million faults takes a second, for which whoever sent them would stop a room.
    """
    if error.error_count() > MOST_FAULTS:
        rule = f"{error.error_count()} faults: more than {MOST_FAULTS} are not told one by one"
        return [FieldFault("(whole)", rule)]
    return [
        FieldFault(".".join(str(part) for part in fault["loc"]) or "(whole)", fault["msg"])
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def seal_statement(payload: Payload, *keys: SigningKey) -> Envelope:
    """Sign a payload as a statement of its kind."""
    return sign(payload.payload_type(), payload.to_bytes(), *keys)


def distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a list that names something twice."""
    if len(set(values)) != len(values):
        raise ValueError("every entry may stand once")
    return values


Names = Annotated[tuple[Name, ...], Field(max_length=64), AfterValidator(distinct)]
FeatureNames = Annotated[tuple[FeatureName, ...], Field(max_length=256), AfterValidator(distinct)]
