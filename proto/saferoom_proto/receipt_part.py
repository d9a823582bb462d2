"""What receipts of all kinds have in common: that they are files, and an owner's part of each.

Fields are written in the order of the bases from the last to the first, then those of the class:
what was asked, an owner's word, what was opened.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Annotated, ClassVar, Generic, Protocol, Self, TypeVar

from pydantic import Field, ValidationError

from saferoom_proto.encoding import parse_object
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements.base import Base64, Owner, Part, field_faults

P = TypeVar("P", bound=Part)
F = TypeVar("F", bound=str)


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


class ReceiptFile(Part, Generic[F]):
    """A receipt as a file, which says its format. Envelopes are DSSE JSON documents, as text."""

    most_bytes: ClassVar[int]
    """Of the largest there may be."""
    format: F

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read a receipt file; `MALFORMED` names the field."""
        return read_receipt(cls, data, cls.most_bytes)

    def to_json(self) -> bytes:
        """Write a receipt file."""
        return self.model_dump_json(indent=1).encode() + b"\n"


class AskedFile(ReceiptFile[F], Generic[F]):
    """A receipt of a request by a template."""

    request: str
    template: str
    certificate: str
    """The release certificate's payload, as approvals and request name it."""


class OwnersWord(Part):
    """An owner's word and what it rests on, but for what was opened: envelopes as text."""

    owner: Owner
    charters: Annotated[tuple[str, ...], Field(min_length=1, max_length=64)]
    """The charter in force, and before it those that lead to it from the pinned root."""
    features: tuple[str, ...]
    approvals: tuple[str, ...]
    agreement: str
    endorsement: str
    release: str
    salt: Base64
    proof: str


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
