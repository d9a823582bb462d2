"""What banks say that train one model of all their rows, each keeping its own (federated training).

No owner's record is touched, so no owner approves: every bank that takes part signs for itself the
whole of what it takes part in, the list of all others included.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, ClassVar, Final

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from saferoom_proto.statements.base import (
    Base64,
    Digest,
    Instant,
    Name,
    Nonce,
    Owner,
    Part,
    Payload,
    ShortText,
    Title,
    Usage,
    ValidFor,
    distinct,
)
from saferoom_proto.statements.feature import Number

FEWEST_BANKS: Final = 3
"""With two, the sum less the own part is the other's part."""
MOST_BANKS: Final = 50
MOST_COLUMNS: Final = 100
LONGEST_FEDERATION: Final = timedelta(days=31)
SHORTEST_WAIT_SECONDS: Final = 30
LONGEST_WAIT_SECONDS: Final = 24 * 3600
ROWS_TOLD_IN: Final = 10
_LARGEST: Final = 10**15
"""Of a column's bounds: within it whole numbers are exact."""


def _in_order(names: tuple[str, ...]) -> tuple[str, ...]:
    if list(names) != sorted(set(names)):
        raise ValueError("in ascending order, each once")
    return names


Banks = Annotated[tuple[Name, ...], Field(max_length=MOST_BANKS), AfterValidator(_in_order)]
Bound = Annotated[Number, Field(ge=-_LARGEST, le=_LARGEST)]
Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class SharedColumn(Part):
    """A column that every bank has, and its bounds: values beyond are taken as these."""

    name: Owner
    low: Bound
    high: Bound

    @model_validator(mode="after")
    def _not_empty(self) -> SharedColumn:
        if float(self.low) >= float(self.high):  # as it is trained: two decimals may be one float
            raise ValueError("low is below high")
        return self


class FederationProposal(ValidFor):
    """A bank proposes that some banks train one model together. It lets nobody do anything.

    It is trained within its validity, once every bank that it names has joined.
    """

    KIND: ClassVar[str] = "federation-proposal"
    SIGNED_BY: ClassVar[Usage] = Usage.INSTITUTION

    institution: Name
    """Who proposes it; one of the banks."""
    signer: Base64
    """The X.509 certificate, DER, of the member of the institution who signs it."""
    name: Name
    title: Title
    event: ShortText
    """What the label 1 stands for: all must mean the same."""
    banks: Annotated[Banks, Field(min_length=FEWEST_BANKS)]
    columns: Annotated[tuple[SharedColumn, ...], Field(min_length=1, max_length=MOST_COLUMNS)]
    inverse_ridge: Annotated[Number, Field(ge=Decimal("0.000001"), le=10**6)]
    rounds: Annotated[int, Field(ge=1, le=12)]
    """The most Newton steps."""
    fewest_rows: Annotated[int, Field(ge=200, le=300_000)]
    """That each bank has to bring."""
    wait_seconds: Annotated[int, Field(ge=SHORTEST_WAIT_SECONDS, le=LONGEST_WAIT_SECONDS)]
    """How long a step waits for a bank."""
    nonce: Nonce

    @model_validator(mode="after")
    def _whole(self) -> FederationProposal:
        distinct(tuple(column.name for column in self.columns))
        if self.institution not in self.banks:
            raise ValueError("who proposes it takes part")
        if self.valid_to - self.valid_from > LONGEST_FEDERATION:
            raise ValueError("it is valid for 31 days at most")
        return self


class OfFederation(Payload):
    """A bank's word on a federation."""

    SIGNED_BY: ClassVar[Usage] = Usage.INSTITUTION

    institution: Name
    signer: Base64
    """The X.509 certificate, DER, of the member of the institution who signs it."""
    federation: Digest
    """Of the proposal: what is trained, and with whom."""
    at: Instant


class FederationJoin(OfFederation):
    """A bank takes part, with all the others that the proposal names."""

    KIND: ClassVar[str] = "federation-join"

    key: Hex
    """Ed25519, made for this training: it signs the bank's messages."""


class FederationEnd(OfFederation):
    """A bank takes part no longer: the federation ends for all."""

    KIND: ClassVar[str] = "federation-end"

    why: ShortText


class FederationResult(OfFederation):
    """A bank says what it trained. All that took part say the same but for their names."""

    KIND: ClassVar[str] = "federation-result"

    course: Hex
    """SHA-256 over terms and sums; the model follows from it."""
    banks: Annotated[Banks, Field(min_length=FEWEST_BANKS)]
    """Whose rows are in the last sum."""
    rows: Annotated[int, Field(ge=0, le=MOST_BANKS * 300_000, multiple_of=ROWS_TOLD_IN)]
    """Of all of them, in tens, cut off."""
    rounds: Annotated[int, Field(ge=1, le=12)]
    converged: bool
