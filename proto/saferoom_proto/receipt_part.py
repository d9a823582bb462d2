"""What the receipts of checks, batches and reports have in common: an owner's part of each."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Annotated, Protocol, TypeVar

from pydantic import Field, ValidationError

from saferoom_proto.encoding import parse_object
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements.base import Part, field_faults

P = TypeVar("P", bound=Part)


def read_receipt(kind: type[P], data: bytes, most_bytes: int) -> P:
    """Read a receipt file of a kind, which must say itself which format it has.

    Raises:
        SafeRoomError: `MALFORMED` names the field.
    """
    parse_object(data, most_bytes)
    try:
        read = kind.model_validate_json(data)
    except ValidationError as error:
        raise SafeRoomError(Reason.MALFORMED, "receipt", field_faults(error)) from None
    if "format" not in read.model_fields_set:
        raise SafeRoomError(Reason.MALFORMED, "receipt", [FieldFault("format", "is missing")])
    return read


Handovers = Annotated[
    tuple[Annotated[str, Field(max_length=64 * 1024)], ...],
    Field(max_length=64, exclude_if=operator.not_),
]
"""Those that led to the root of a receipt's charters, oldest first, for who pinned one before.

Most receipts lack them, and are written without: readers from before know no such field.
"""


class OwnFeatures(Protocol):
    """An owner's part of a receipt, as far as it holds the owner's features: envelopes as text."""

    @property
    def owner(self) -> str:
        """Whose part it is."""
        ...

    @property
    def features(self) -> Sequence[str]:
        """Those that the certificate was derived from."""
        ...


class SaidPart(OwnFeatures, Protocol):
    """An owner's part of a receipt of any kind, but for what was opened: envelopes as text."""

    @property
    def charters(self) -> Sequence[str]:
        """The charter in force, and before it those that lead to it from the pinned root."""
        ...

    @property
    def approvals(self) -> Sequence[str]:
        """Those that the release names."""
        ...

    @property
    def agreement(self) -> str:
        """Whose key signed the question."""
        ...

    @property
    def endorsement(self) -> str:
        """The key agent's word for the enclave's keys."""
        ...

    @property
    def release(self) -> str:
        """The enclave's word."""
        ...

    @property
    def salt(self) -> str:
        """Opens the word's entry of the log."""
        ...

    @property
    def proof(self) -> str:
        """Of its place there."""
        ...

    @property
    def handovers(self) -> Sequence[str]:
        """Those that led to the root of the charters."""
        ...
