"""Sums over owners: what a plan may ask, how shares are written, and how wide all noise is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from saferoom_proto.certificate import (
    ReleaseCertificate,
    derive_certificate,
    features_named,
    owners_of,
    rests_on,
)
from saferoom_proto.pinned import pin
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.shares import MODULUS, Share
from saferoom_proto.statements import (
    Absent,
    Feature,
    MeasureKind,
    OwnersPeriod,
    TableRequest,
    Template,
    load,
    seal_statement,
)
from saferoom_proto.tables.plan import Dimension, Measure, ReleasePlan, Variable
from saferoom_proto.tables.privacy import CONFIDENCE, Noise, margin_of_sum
from saferoom_proto.tables.sum_receipt import SumReceipt
from saferoom_proto.tables.summed import TableShares, add_up, in_tables
from saferoom_proto.tables.told import FEWEST_BYTES
from tests.proto.golden_tables import sum_receipt, table_shares, words_on_tables
from tests.proto.test_certificate import KEY, feature
from tests.proto.test_tables import COUNT, SUM, template

PRIVACY = {"epsilon": "0.5", "cap": "1"}
OWNERS = ("tax", "vat", "west")
CHARTERS = {name: f"sha256:{at}" + "0" * 63 for at, name in enumerate(OWNERS)}


def of(name: str, owner: str, **changes: object) -> Feature:
    """Give a feature of the sample as another owner's."""
    like = load(feature(f"tax.{name}"), Feature)
    return like.model_copy(update={"owner": owner, **changes})


def summed(**aggregate: object) -> Template:
    asked = {"owners": OWNERS, "privacy": PRIVACY, "measures": (COUNT, SUM)} | aggregate
    return load(template(**asked), Template)


def derived(other: Mapping[str, object], **aggregate: object) -> ReleaseCertificate:
    """Derive the certificate of a sum; the last owner's features differ."""
    asked = {"owners": OWNERS, "privacy": PRIVACY, "measures": (COUNT, SUM)} | aggregate
    defined = [of(name, owner) for name in ("arrears", "vat") for owner in OWNERS[:2]]
    defined += [of("arrears", "west"), of("vat", "west", **other)]
    pinned = pin(seal_statement(each, KEY) for each in defined)
    return derive_certificate(template(**asked), pinned, CHARTERS)


def test_a_sum_asks_the_same_of_every_owner_and_rests_on_their_charters() -> None:
    asked = summed()
    assert owners_of(asked) == rests_on(asked) == OWNERS
    assert [str(each) for each in features_named(asked)] == [
        f"{owner}.{name}" for owner in OWNERS for name in ("arrears", "vat")
    ]
    parts = derived({}).parts
    assert [(part.owner, part.charter, part.shared) for part in parts] == [
        (owner, CHARTERS[owner], True) for owner in OWNERS
    ]
    assert {part.table.cells for part in parts if part.table} == {6}


@pytest.mark.parametrize(
    "other",
    [
        {"unit": "10,000 yuan"},
        {"grid": (Decimal(1), Decimal(7))},
        {"absent": Absent.FALSE},
    ],
)
def test_cells_that_do_not_mean_the_same_everywhere_are_not_added_up(
    other: dict[str, object],
) -> None:
    with pytest.raises(SafeRoomError) as caught:
        derived(other, dimensions=("tax.arrears", "tax.vat"))
    assert caught.value.reason is Reason.NOT_ALLOWED
    assert caught.value.fields[0].field == "west.vat"


@pytest.mark.parametrize(
    "wrong",
    [
        {"owners": OWNERS[:2]},
        {"owners": ("tax", "west", "vat")},
        {"owners": ("tax", "tax", "vat", "west")},
        {"owners": ("court", "vat", "west")},
        # Exact sums: nobody could tell whether one is about too few, or is mostly one owner's.
        {"privacy": None},
        {"measures": ({**SUM, "kind": "mean"},)},
        {"measures": ({"kind": "share", "of": "tax.arrears", "classes": ("true",)},)},
    ],
)
def test_what_is_no_sum_of_three_with_noise_is_refused_when_it_is_proposed(
    wrong: dict[str, object],
) -> None:
    with pytest.raises(ValidationError, match="aggregate"):
        summed(**wrong)


def test_an_owner_without_a_charter_is_named() -> None:
    pinned = pin(
        seal_statement(of(name, owner), KEY) for name in ("arrears", "vat") for owner in OWNERS
    )
    asked = template(owners=OWNERS, privacy=PRIVACY)
    with pytest.raises(SafeRoomError, match="west has no charter") as caught:
        derive_certificate(asked, pinned, {name: CHARTERS[name] for name in OWNERS[:2]})
    assert caught.value.reason is Reason.BAD_CHARTER


def test_periods_stand_once_and_in_order() -> None:
    request = words_on_tables()["table-request for a sum"]
    assert isinstance(request, TableRequest)
    one, other = request.periods
    for wrong in ((other, one), (one, one), (one, OwnersPeriod(owner="tax", epoch=9))):
        with pytest.raises(ValidationError):
            TableRequest.model_validate({**request.model_dump(), "periods": wrong})


PLAN = ReleasePlan(
    dimensions=(Dimension("size", ("a", "b")),),
    variables=(Variable("vat", 0, 5000),),
    measures=(Measure(MeasureKind.COUNT), Measure(MeasureKind.SUM, "vat")),
    margins=(("size",),),
    epoch=0,
)
"""Steps of the sums are thousandths."""


Table = tuple[int, ...]


def shares_of(*owners: tuple[Table, ...]) -> dict[str, TableShares]:
    """Hide owners' numbers by masks that add up to nothing."""
    masks = [
        [[pow(7, 99 + 9 * at + 3 * table + cell, MODULUS) for cell in range(2)] for table in (0, 1)]
        for at in range(len(owners) - 1)
    ]
    masks.append([[-sum(each[t][c] for each in masks) for c in range(2)] for t in range(2)])
    return {
        str(at): table_shares().model_copy(update={"shares": in_tables(_hidden(tables, masks[at]))})
        for at, tables in enumerate(owners)
    }


def _hidden(tables: tuple[Table, ...], masks: list[list[int]]) -> list[list[Share]]:
    return [
        [Share((number + mask) % MODULUS) for number, mask in zip(*pair, strict=True)]
        for pair in zip(tables, masks, strict=True)
    ]


wide = st.tuples(*[st.integers(-(10**15), 10**15)] * 2)


@given(st.lists(st.tuples(wide, wide), min_size=3, max_size=5))
def test_shares_add_up_to_the_sum_whatever_the_signs(
    owners: list[tuple[tuple[int, ...], ...]],
) -> None:
    told = add_up(shares_of(*((each[0], each[1]) for each in owners)), PLAN)
    for table, step in zip(told, (1, Decimal("0.001")), strict=True):
        at = told.index(table)
        for cell, shown in enumerate(table.cells):
            total = sum(each[at][cell] for each in owners) * step
            assert math.isclose(float(shown.number or "nan"), float(total), rel_tol=1e-9)


def test_what_does_not_belong_together_adds_up_to_no_number() -> None:
    parts = shares_of(((1, 2), (3, 4)), ((1, 2), (3, 4)), ((1, 2), (3, 4)))
    assert [cell.number for cell in add_up(parts, PLAN)[1].cells] == ["0.009", "0.012"]
    short = parts["2"].model_copy(update={"shares": parts["2"].shares[:1]})
    for wrong in ({**parts, "2": parts["1"]}, {**parts, "2": short}, {"0": parts["0"]}):
        with pytest.raises(SafeRoomError) as caught:
            add_up(wrong, PLAN)
        assert caught.value.reason is Reason.BAD_PROOF


def test_lengths_follow_from_the_plan_alone_and_forms_read_as_written() -> None:
    assert len(table_shares().to_bytes()) == FEWEST_BYTES
    assert TableShares.from_bytes(table_shares().to_bytes()) == table_shares()
    written = sum_receipt().to_json()
    assert SumReceipt.from_json(written) == sum_receipt()
    for spoilt in (b"{}", written.replace(b"sum-receipt/v1", b"receipt/v1")):
        with pytest.raises(SafeRoomError) as caught:
            SumReceipt.from_json(spoilt)
        assert caught.value.reason is Reason.MALFORMED
    for wrong in ("AAAA", ""):
        spoilt_shares = table_shares().model_copy(update={"shares": (wrong,)})
        with pytest.raises(SafeRoomError) as caught:
            tuple(TableShares.from_bytes(spoilt_shares.to_bytes()).tables())
        assert caught.value.reason is Reason.MALFORMED


@pytest.mark.parametrize("owners", [1, 3, 7])
@pytest.mark.parametrize("scale", [2, 12])
def test_nineteen_of_twenty_totals_are_within_the_margin_of_all_owners_noise(
    owners: int, scale: int
) -> None:
    noise = Noise(Decimal(1), scale, Fraction(1))
    draw = np.random.default_rng(54)
    # A discrete Laplace number is the difference of two geometric ones.
    chance = 1 - math.exp(-1 / scale)
    drawn = draw.geometric(chance, (2, owners, 200_000)).sum(axis=1)
    near = np.abs(drawn[0] - drawn[1]) <= int(margin_of_sum(noise, owners))
    within = np.count_nonzero(near) / len(near)
    assert CONFIDENCE - 0.002 <= within <= CONFIDENCE + 0.03


def test_noise_of_more_owners_is_wider_and_of_one_as_ever() -> None:
    noise = Noise(Decimal("0.01"), 600, Fraction(1, 2))
    margins = [margin_of_sum(noise, owners) for owners in range(1, 17)]
    assert margins == sorted(set(margins))
    assert margins[0] == noise.margin_of_error
