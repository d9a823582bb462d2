"""All that an owner holds about one subject, as it is sealed to that subject and to nobody else.

The plaintext is JSON, filled up with spaces to the next power of two: the length that passers-by
see says little of how much is held. The disclosure statement carries a hash of the whole; the salt
in it keeps that commitment from being guessed.
"""

from __future__ import annotations

import operator
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints, ValidationError, model_validator

from saferoom_proto import hpke
from saferoom_proto.batch import MOST_PARAMETERS
from saferoom_proto.batch_row import HeldRow
from saferoom_proto.encoding import check_digest, parse_object
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.base import (
    Base64,
    Digest,
    FeatureName,
    Name,
    Owner,
    Part,
    Title,
    Uscc,
    field_faults,
)
from saferoom_proto.statements.enclave import Count, StoreState
from saferoom_proto.statements.feature import ColumnType
from saferoom_proto.suite import Suite

FEWEST_BYTES: Final = 16 * 1024
"""What is held about most subjects, a few dozen rows, fits: they all look alike."""
MOST_BYTES: Final = 8 * 1024 * 1024
"""Half of what a client takes in one message; 50,000 rows of a dozen columns."""

_LABEL: Final = b"saferoom holdings v1\n"

MOST_BATCHES: Final = 64
"""Shown at once: two months of nightly ones, some 8 KiB each."""

MOST_LISTS: Final = 64
"""Shown at once, some 6 KiB each; how many more there were is counted."""
_SELDOM: Final = ("batches", "earlier", "lists", "earlier_lists")

Document = Annotated[str, StringConstraints(min_length=2, max_length=512 * 1024)]
Value = Annotated[str, StringConstraints(max_length=64 * 1024)]


class HeldColumn(Part):
    """A column of a table, as its schema describes it."""

    name: Owner
    title: Title
    type: ColumnType
    level: Annotated[int, Field(ge=1, le=4)]
    withheld: bool
    """Its values are not shown: they can name somebody else, or what is somebody else's."""


class HeldTable(Part):
    """The rows of one table about the subject."""

    name: Owner
    title: Title
    columns: Annotated[tuple[HeldColumn, ...], Field(min_length=1, max_length=400)]
    rows: tuple[tuple[Value | None, ...], ...]
    """Each value as text, in the order of the columns; none where there is none or it is withheld.
    """
    withheld: tuple[Count, ...]
    """How many values of each column are there and not shown."""

    @model_validator(mode="after")
    def _rectangular(self) -> HeldTable:
        wide = len(self.columns)
        if len(self.withheld) != wide or any(len(row) != wide for row in self.rows):
            raise ValueError("a row has a value for each column")
        return self


class HeldFeature(Part):
    """A feature's value for the subject: what answers are made from."""

    feature: FeatureName
    digest: Digest
    value: Value | None


class HeldAccount(Part):
    """What one group of institutions can know of one feature in one period.

    It is the enclave's own count: its answers can have told them no more than in which of these
    cells the value lies. When a group asks, all that groups linked with it (`collusion`) had asked
    by then comes into its account, too.
    """

    group: Name
    institutions: tuple[Name, ...]
    feature: FeatureName
    epoch: Annotated[int, Field(ge=0)]
    cuts: tuple[str, ...]
    """What the value was compared with; of values that were stated, a tag of each."""
    cells: Annotated[int, Field(ge=1)]
    scores: Annotated[tuple[Annotated[int, Field(ge=2)], ...], Field(exclude_if=operator.not_)] = ()
    """How many answers each score has that was asked and reads it."""


class HeldBatch(Part):
    """The rows of one batch about the subject, with the enclave's word on the batch.

    Attributes:
        question: the batch as it was asked, a DSSE JSON document.
        word: the enclave's, likewise.
        salt: opens the word's entry of the log.
        rows: those about the subject; of equal ones the first, since the others were refused.
        more: at least how many more rows were about it, in chunks too many to be shown.
    """

    question: Document
    word: Document
    salt: Base64
    rows: Annotated[tuple[HeldRow, ...], Field(min_length=1, max_length=MOST_PARAMETERS)]
    more: Count = 0


class HeldList(Part):
    """A page of a list on which the subject was told, with the enclave's word on it.

    Attributes:
        question: what was asked, a DSSE JSON document.
        word: the enclave's, likewise.
        salt: opens the word's entry of the log.
    """

    question: Document
    word: Document
    salt: Base64


class Holdings(Part):
    """What one owner's enclave holds about one subject."""

    format: Literal["saferoom-holdings/v1"] = "saferoom-holdings/v1"
    room: str
    owner: Owner
    subject: Uscc
    request: Digest
    store: StoreState
    schema_digest: Digest
    tables: tuple[HeldTable, ...]
    features: tuple[HeldFeature, ...]
    accounts: tuple[HeldAccount, ...]
    batches: Annotated[tuple[HeldBatch, ...], Field(max_length=MOST_BATCHES)] = ()
    """Those that have rows about the subject, the newest first."""
    earlier: Count = 0
    """How many more there were before these."""
    lists: Annotated[tuple[HeldList, ...], Field(max_length=MOST_LISTS)] = ()
    """Pages of lists that showed the subject, the newest first."""
    earlier_lists: Count = 0
    """How many more there were before these."""
    salt: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{43}=$")]
    """32 random bytes, base64."""

    def fitted(self) -> Holdings:
        """Count the batches and lists only, where they would leave no room for the records."""
        if not (self.batches or self.lists) or len(self._written()) <= MOST_BYTES:
            return self
        counted = {
            "batches": (),
            "earlier": self.earlier + len(self.batches),
            "lists": (),
            "earlier_lists": self.earlier_lists + len(self.lists),
        }
        return self.model_copy(update=counted)

    def to_bytes(self) -> bytes:
        """Write the plaintext, filled up.

        Raises:
            SafeRoomError: `TOO_LARGE` past `MOST_BYTES`.
        """
        written = self._written()
        if len(written) > MOST_BYTES:
            raise SafeRoomError(Reason.TOO_LARGE, f"more than {MOST_BYTES} bytes are held")
        # JSON may end in spaces (RFC 8259 section 2).
        return written.ljust(max(FEWEST_BYTES, 1 << (len(written) - 1).bit_length()))

    def _written(self) -> bytes:
        # Most subjects are in no batch and on no list: what is not there is not written.
        absent = {name for name in _SELDOM if not getattr(self, name)}
        return self.model_dump_json(exclude=absent).encode()

    @classmethod
    def from_bytes(cls, plaintext: bytes) -> Holdings:
        """Read a plaintext; `MALFORMED` names the field."""
        parse_object(plaintext, MOST_BYTES)
        try:
            return cls.model_validate_json(plaintext)
        except ValidationError as error:
            raise SafeRoomError(Reason.MALFORMED, "holdings", field_faults(error)) from None


def commitment(plaintext: bytes, suite: Suite = Suite.INTERNATIONAL) -> str:
    """Commit to a plaintext, as a disclosure statement of a suite does."""
    return suite.digest(plaintext)


def seal_holdings(plaintext: bytes, reply_key: bytes, request_id: str, owner: str) -> bytes:
    """Seal a plaintext to the subject that asked."""
    return hpke.seal(reply_key, plaintext, info=holdings_info(request_id, owner))


def open_holdings(sealed: bytes, key: hpke.SealingKey, request_id: str, owner: str) -> bytes:
    """Open what an owner's enclave sealed to the subject.

    Raises:
        SafeRoomError: `BAD_SEAL` if it was sealed to another key, request or owner.
    """
    return key.open(sealed, info=holdings_info(request_id, owner))


def holdings_info(request_id: str, owner: str) -> bytes:
    """Give the HPKE info under which an owner's holdings are sealed for one request."""
    return _LABEL + check_digest(request_id).encode() + b"\n" + owner.encode()
