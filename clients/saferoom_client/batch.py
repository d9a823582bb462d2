"""A signed batch, its rows, and the key that its answers are sealed to: all it takes to ask again.

Whoever keeps a batch can send it again after any failure; it goes on where it stopped, its answers
are the same byte for byte, and it is charged once.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal, Self

from pydantic import Field, StringConstraints, ValidationError

from saferoom_client.profile import Profile
from saferoom_client.question import BACKDATED, Value, read_purpose, write_value
from saferoom_client.values import TemplateView
from saferoom_proto.batch import MOST_PARAMETERS, MOST_ROWS, ROW_BYTES, asked_leaves
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64, unb64
from saferoom_proto.hpke import SealingKey
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import (
    BatchRequest,
    FeatureKind,
    Purpose,
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
from saferoom_proto.tree import Tree
from saferoom_proto.uscc import parse_uscc

BATCH_VALID_FOR: Final = timedelta(hours=23, minutes=58)
"""How long a batch may travel; with what it is backdated, below the 24 hours of an enclave."""
_SEED_BYTES: Final = 32

Asked = str | tuple[str, Mapping[str, Value]]
"""A row: a subject's code, or that and parameters of the row's own."""


class _Kept(Part):
    """A batch as a file holds it."""

    format: Literal["saferoom-batch/v1"] = "saferoom-batch/v1"
    request: Annotated[str, StringConstraints(max_length=512 * 1024)]
    reply_key: Base64
    blinding: Base64
    rows: Annotated[str, Field(max_length=64 * 1024 * 1024)]


@dataclass(frozen=True, slots=True)
class Batch:
    """A signed batch: what it says, its rows, and what opens its answers."""

    envelope: Envelope
    request: BatchRequest
    reply_key: SealingKey = field(repr=False)
    blinding: bytes = field(repr=False)
    packed: bytes = field(repr=False)

    @property
    def request_id(self) -> str:
        """The digest by which everybody knows the batch."""
        return self.envelope.digest

    def __len__(self) -> int:
        return self.request.rows

    def to_json(self) -> bytes:
        """Write the batch; it holds the key to its answers, so guard the file (mode 0600)."""
        kept = _Kept(
            request=self.envelope.to_json().decode(),
            reply_key=b64(self.reply_key.to_bytes()),
            blinding=b64(self.blinding),
            rows=b64(self.packed),
        )
        return kept.model_dump_json().encode()

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read a kept batch; `MALFORMED` names the field."""
        try:
            kept = _Kept.model_validate_json(data)
        except ValidationError as error:
            raise SafeRoomError(Reason.MALFORMED, "batch", field_faults(error)) from None
        envelope = Envelope.from_text(kept.request)
        request, packed = load(envelope, BatchRequest), unb64(kept.rows)
        if len(packed) != request.rows * ROW_BYTES:
            raise SafeRoomError(Reason.MALFORMED, "the file does not hold the batch's rows")
        reply_key = SealingKey.from_bytes(unb64(kept.reply_key))
        return cls(envelope, request, reply_key, unb64(kept.blinding), packed)


def make_batch(
    profile: Profile,
    view: TemplateView,
    *,
    rows: Iterable[Asked],
    purpose: Purpose | str,
    params: Mapping[str, Value],
    now: datetime,
) -> Batch:
    """Sign a question about many subjects.

    Args:
        profile: the member of the institution that asks.
        view: the verified template.
        rows: the subjects; a row's own parameters count before those of all.
        purpose: what the answers are for.
        params: parameters of all rows.
        now: the present instant.

    Raises:
        SafeRoomError: `MALFORMED_SUBJECT` or `MALFORMED`, naming the row or field; `MALFORMED` too
            for a template that compares a stated value, which is done for one subject at a time.
    """
    if any(each.definition.kind is FeatureKind.STATED for each in view.features.values()):
        fault = FieldFault("template", "a value is stated of one subject at a time")
        raise SafeRoomError(Reason.MALFORMED, "template", [fault])
    packed, sets = _packed(rows, params)
    blinding, reply_key = os.urandom(_SEED_BYTES), SealingKey.generate()
    moment, suite = whole_milliseconds(now), profile.suite
    try:
        request = BatchRequest(
            room=profile.card.origin,
            institution=profile.member.organisation,
            template=view.envelope.digest,
            certificate=view.certificate.digest,
            params=tuple(sets),
            purpose=read_purpose(purpose),
            rows=len(packed) // ROW_BYTES,
            root=suite.named(Tree(asked_leaves(blinding, packed, suite), suite).root),
            nonce=fresh_nonce(),
            not_before=moment - BACKDATED,
            not_after=moment + BATCH_VALID_FOR,
            reply_key=b64(reply_key.public),
        )
    except ValidationError as error:
        raise SafeRoomError(Reason.MALFORMED, "batch", field_faults(error)) from None
    envelope = seal_statement(request, profile.signing_key)
    return Batch(envelope, request, reply_key, blinding, packed)


def _packed(
    rows: Iterable[Asked], common: Mapping[str, Value]
) -> tuple[bytes, Sequence[dict[str, str | bool]]]:
    """Pack rows, and number the sets of parameters that occur in them."""
    shared = {name: write_value(name, value) for name, value in common.items()}
    numbers: dict[tuple[tuple[str, str | bool], ...], bytes] = {}
    sets: list[dict[str, str | bool]] = []

    def number(own: Mapping[str, Value]) -> bytes:
        params = shared | {name: write_value(name, value) for name, value in own.items()}
        key = tuple(sorted(params.items()))
        if key not in numbers:
            numbers[key] = len(sets).to_bytes(2, "big")
            sets.append(params)
            if len(sets) > MOST_PARAMETERS:
                rule = f"at most {MOST_PARAMETERS} sets of parameters in one batch"
                raise SafeRoomError(Reason.MALFORMED, rule, [FieldFault("params", rule)])
        return numbers[key]

    pieces: list[bytes] = []
    plain: bytes | None = None
    for index, row in enumerate(rows):
        if index >= MOST_ROWS:
            rule = f"at most {MOST_ROWS} rows in one batch"
            raise SafeRoomError(Reason.TOO_LARGE, rule, [FieldFault("rows", rule)])
        if isinstance(row, str):
            subject = row
            suffix = plain = number({}) if plain is None else plain
        else:
            subject, suffix = row[0], number(row[1])
        pieces.append(_subject(index, subject) + suffix)
    return b"".join(pieces), sets


def _subject(index: int, code: str) -> bytes:
    try:
        return parse_uscc(code).encode("ascii")
    except SafeRoomError as error:
        faults = [FieldFault(f"rows[{index}]", fault.rule) for fault in error.fields]
        raise SafeRoomError(error.reason, error.detail, faults) from None
