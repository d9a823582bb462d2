"""One owner's cells of a sum, as they are sealed to the asker: shares that tell nothing alone.

A cell's number, in whole steps and with its noise, is hidden by zero-shares: numbers that all
owners' enclaves agree on, and that add up to nothing (`shares`, docs/adr/0054). Whoever adds up the
shares of all owners has the sum; of all but one they are uniform, whatever the cells are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints, ValidationError

from saferoom_proto.asker_seal import AskerSeal
from saferoom_proto.encoding import b64, parse_object, unb64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.shares import MODULUS, SHARE_BYTES, Share, added_up
from saferoom_proto.statements.aggregate import MeasureKind
from saferoom_proto.statements.base import Digest, Owner, Part, field_faults
from saferoom_proto.tables.plan import ReleasePlan
from saferoom_proto.tables.privacy import step_of
from saferoom_proto.tables.told import MOST_BYTES, Numbers, Told, filled_up, laid_out, written

SHARES_SEAL: Final = AskerSeal("table shares v1")
_LARGEST: Final = 1 << 62
"""Sixteen owners' cells are below it: a hundred million subjects add up less than 10**15 steps
each. Shares that do not belong together pass it, but for one of 2**65."""
_AROUND_ALL: Final = 1024
"""What stands around the shares: names, digests, salt; half of it is room to spare."""
_Shares = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]+={0,2}$")]


class TableShares(Part):
    """What one owner's enclave lets out of a sum."""

    format: Literal["saferoom-table-shares/v1"] = "saferoom-table-shares/v1"
    room: str
    owner: Owner
    request: Digest
    template: Digest
    epoch: Annotated[int, Field(ge=1)]
    """Of the store that its cells are about."""
    shares: Annotated[tuple[_Shares, ...], Field(min_length=1)]
    """For each measure each margin, in the plan's order: 16 bytes of each cell, base64."""
    salt: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{43}=$")]
    """32 random bytes, base64."""

    def to_bytes(self) -> bytes:
        """Write the plaintext, filled up; `TOO_LARGE` past `MOST_BYTES`."""
        return filled_up(
            self.model_dump_json().encode(),
            _AROUND_ALL + sum(3 + len(each) for each in self.shares),
        )

    @classmethod
    def from_bytes(cls, plaintext: bytes) -> TableShares:
        """Read a plaintext; `MALFORMED` names the field."""
        parse_object(plaintext, MOST_BYTES)
        try:
            return cls.model_validate_json(plaintext)
        except ValidationError as error:
            raise SafeRoomError(Reason.MALFORMED, "shares", field_faults(error)) from None

    def tables(self) -> Iterator[tuple[Share, ...]]:
        """Give the shares of each table; `MALFORMED` for what are none."""
        for each in self.shares:
            data = unb64(each)
            yield tuple(
                Share.from_bytes(data[at : at + SHARE_BYTES])
                for at in range(0, len(data), SHARE_BYTES)
            )


def in_tables(shares: Sequence[Sequence[Share]]) -> tuple[str, ...]:
    """Write the shares of each table."""
    return tuple(b64(b"".join(each.to_bytes() for each in table)) for table in shares)


def add_up(parts: Mapping[str, TableShares], plan: ReleasePlan) -> tuple[Told, ...]:
    """Add up the shares of all owners of a sum.

    Args:
        parts: what each owner's enclave let out, verified.
        plan: of the sum (`asked.plan_of_sum`).

    Raises:
        SafeRoomError: `BAD_PROOF` if they are not those of one plan, or add up to no number: one
            of them hides otherwise than the others do.
    """
    measures = [measure for measure in plan.measures for _ in plan.margins]
    given = [tuple(each.tables()) for each in parts.values()]
    if any([*map(len, each)] != [*map(len, given[0])] for each in given):
        raise SafeRoomError(Reason.BAD_PROOF, "the shares are not those of one plan")
    if len(given[0]) != len(measures):
        raise SafeRoomError(Reason.BAD_PROOF, "the shares are not those of the plan")
    steps = {each.name: step_of(each) for each in plan.variables}
    numbers: list[Numbers] = []
    for measure, tables in zip(measures, zip(*given, strict=True), strict=True):
        step = steps[measure.of] if measure.kind is MeasureKind.SUM else Decimal(1)
        numbers.append(tuple(written(_total(cell) * step) for cell in zip(*tables, strict=True)))
    return laid_out(tuple(numbers), plan)


def _total(cell: Sequence[Share]) -> int:
    """Give what shares of one cell add up to: a number on either side of nothing."""
    found = added_up(cell)
    total = found - MODULUS if found > MODULUS // 2 else found
    if abs(total) >= _LARGEST:
        raise SafeRoomError(Reason.BAD_PROOF, "the shares of the owners add up to no number")
    return total
