"""Tables with noise in the enclave: charged by group, kept, given again; and attacks on them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from saferoom_enclaves.statistics import laplace
from saferoom_enclaves.tables.privacy import NoisyNumbers
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    Aggregate,
    Agreement,
    MeasureKind,
    Outcome,
    PrivacySpent,
    Purpose,
    TableMeasure,
)
from saferoom_proto.statements.aggregate import Privacy, TableRules
from simulator.bank import SimBank
from simulator.sample import Approved
from simulator.tabled import COUNT, TableRoom, added, firms, numbers, plan, to_csv


@pytest.fixture
def own(tmp_path: Path) -> Iterator[TableRoom]:
    """Give a room that a test may break."""
    made = TableRoom.make(tmp_path)
    yield made
    made.enclave.close()


def noisy(
    *dimensions: str,
    epsilon: str = "0.5",
    cap: str = "1",
    measures: tuple[TableMeasure, ...] = (COUNT,),
) -> Aggregate:
    privacy = Privacy(epsilon=Decimal(epsilon), cap=Decimal(cap))
    return plan(*dimensions, measures=measures).model_copy(update={"privacy": privacy})


def spent(room: TableRoom, tables: Approved, bank: SimBank | None = None) -> PrivacySpent | Reason:
    """Ask, and tell what it was charged or why it was refused."""
    said = room.said(room.enclave.tabulate(room.request(tables, bank)))
    assert (said.outcome is Outcome.ANSWERED) == (said.privacy is not None)
    return said.privacy or said.reason or Reason.INTERNAL


def paid(charged: str, total: str, cap: str = "1") -> PrivacySpent:
    return PrivacySpent(charged=Decimal(charged), spent=Decimal(total), cap=Decimal(cap))


def a_month_later(room: TableRoom) -> None:
    room.world.clock.advance(31 * 24 * 3600)
    room.enclave.unlock()
    room.enclave.follow()


def test_every_cell_is_told_near_the_truth_and_none_is_withheld(own: TableRoom) -> None:
    measures = (COUNT, added(MeasureKind.SUM), added(MeasureKind.MEAN))
    tables = own.approved("noisy", noisy("size", epsilon="10", cap="10", measures=measures))
    told = own.ask(tables)
    rows = firms()
    for size in ("small", "middle", "large"):
        theirs = [each.vat for each in rows if each.size == size]
        # Scales of 3 / 5 firms, and of 30,000 / 5: a chance in a million million of being farther.
        assert float(numbers(told[1])[size,] or "nan") == pytest.approx(len(theirs), abs=20)
        assert float(numbers(told[3])[size,] or "nan") == pytest.approx(sum(theirs), abs=180_000)
    total, added_up, mean = (float(numbers(told[at])[()] or "nan") for at in (0, 2, 4))
    assert mean == pytest.approx(min(10_000, added_up / total), rel=1e-5)


def test_averaging_by_repeats_gives_the_same_numbers_to_every_bank_and_costs_once(
    own: TableRoom,
) -> None:
    tables = own.approved("noisy", noisy("size", "late"))
    told = own.ask(tables)
    own.enclave.kill()
    request = own.request(tables)
    first = own.enclave.tabulate(request)
    assert own.enclave.tabulate(request) == first
    assert own.said(first).privacy == paid("0", "0.5")
    assert own.opened(tables, request, first) == told
    assert [own.ask(tables, bank) for bank in own.banks[1:]] == [told, told]


def test_two_plans_with_the_same_cells_have_noise_of_their_own_and_add_up(own: TableRoom) -> None:
    one, other, third = (own.approved(f"noisy-{at}", noisy("size", "late")) for at in range(3))
    ring, partner, alone = own.banks
    first, second = own.ask(one, ring), own.ask(other, partner)
    assert [numbers(each) for each in first] != [numbers(each) for each in second]
    # The ring has one budget, whoever of it asked; whoever stands alone has another.
    assert spent(own, other, ring) == paid("0", "1")
    assert spent(own, third, partner) is Reason.OVER_BUDGET
    own.enclave.kill()
    assert spent(own, third, ring) is Reason.OVER_BUDGET
    assert spent(own, one, alone) == paid("0.5", "0.5")
    # What was told is told again, though nothing is left.
    assert own.ask(one, ring) == first


def test_groups_that_a_bank_links_have_one_budget(own: TableRoom) -> None:
    one, other, third = (own.approved(f"noisy-{at}", noisy("size")) for at in range(3))
    ring, _, alone = own.banks
    own.ask(one, ring)
    told = own.ask(other, alone)
    agreed = [
        each
        for each in own.world.streams["tax"].statements
        if each.payload_type == Agreement.payload_type()
    ]
    own.tax.agree(alone, (Purpose.PRODUCT_DESIGN,), "ring", replaces=agreed[-1])
    own.enclave.follow()
    assert [spent(own, third, bank) for bank in (ring, alone)] == [Reason.OVER_BUDGET] * 2
    assert spent(own, other, ring) == paid("0", "1")
    assert own.ask(other, ring) == told


def forget(*_: object) -> None:
    """Keep nothing."""


def test_numbers_that_are_gone_are_not_made_anew(
    own: TableRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever can take a row away while the enclave runs would average noise away by it."""
    tables = own.approved("noisy", noisy("size"))
    monkeypatch.setattr(NoisyNumbers, "keep", forget)
    own.ask(tables)
    with pytest.raises(SafeRoomError) as caught:
        own.enclave.tabulate(own.request(tables))
    assert caught.value.reason is Reason.STORE_DAMAGED
    # A price reads none of them.
    priced = own.said(own.enclave.tabulate(own.request(tables, price=True)))
    assert (priced.reason, priced.privacy) == (Reason.PRICE_ONLY, paid("0", "0.5"))


def test_of_the_same_records_all_tables_have_noise_or_none_and_others_a_budget_of_their_own(
    own: TableRoom,
) -> None:
    with_noise, plainly = own.approved("noisy", noisy("size")), own.approved("plain", plan("size"))
    told = own.ask(with_noise)
    refused = own.said(own.enclave.tabulate(own.request(plainly)))
    assert (refused.reason, refused.privacy) == (Reason.CONFLICT, None)
    own.enclave.load({"firms": to_csv(firms())})
    assert spent(own, with_noise) is Reason.OVER_BUDGET
    a_month_later(own)
    assert own.ask(with_noise) != told
    assert spent(own, with_noise) == paid("0", "0.5")
    own.enclave.load({"firms": to_csv(firms())})
    a_month_later(own)
    own.ask(plainly)
    assert spent(own, with_noise) is Reason.CONFLICT


def test_refusals_and_prices_do_not_depend_on_records(tmp_path: Path) -> None:
    said: list[list[PrivacySpent | Reason]] = []
    for name, rows in (("one", firms()), ("other", firms(7, 121))):
        (folder := tmp_path / name).mkdir()
        room = TableRoom.make(folder, rows)
        one = room.approved("one", noisy("size", epsilon="0.3"))
        other = room.approved("other", noisy("late", epsilon="0.8"))
        said.append([spent(room, each) for each in (one, other, one)])
        room.enclave.close()
    assert said[0] == said[1] == [paid("0.3", "0.3"), Reason.OVER_BUDGET, paid("0", "0.3")]


def missing(_: str) -> None:
    """Find no such module."""


def test_an_enclave_without_opendp_refuses_with_what_to_install(
    own: TableRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = own.approved("noisy", noisy("size"))
    before = own.enclave.enclave.whereabouts().chain_length
    monkeypatch.setattr(laplace.importlib.util, "find_spec", missing)
    with pytest.raises(SafeRoomError) as caught:
        own.enclave.tabulate(own.request(tables))
    assert caught.value.reason is Reason.NOT_INSTALLED
    assert "pip install 'saferoom[privacy]'" in own.enclave.log.getvalue()
    assert own.enclave.enclave.whereabouts().chain_length == before
    monkeypatch.undo()
    # Nothing was charged meanwhile, and what is kept needs no noise.
    assert spent(own, tables) == paid("0.5", "0.5")
    monkeypatch.setattr(laplace.importlib.util, "find_spec", missing)
    assert spent(own, tables) == paid("0", "0.5")


def test_a_price_is_told_before_anything_is_charged_or_made(own: TableRoom) -> None:
    one, other = own.approved("one", noisy("size")), own.approved("other", noisy("late"))
    plainly = own.approved("plain", plan("size"))

    def priced(tables: Approved) -> tuple[Reason | None, PrivacySpent | None]:
        request = own.request(tables, price=True)
        judged = own.enclave.tabulate(request)
        assert own.enclave.tabulate(request) == judged
        said = own.said(judged)
        assert (judged.sealed, said.answer) == (b"", None)
        return said.reason, said.privacy

    for _ in range(2):
        assert priced(one) == (Reason.PRICE_ONLY, paid("0.5", "0.5"))
    assert priced(plainly) == (Reason.PRICE_ONLY, None)
    assert spent(own, one) == paid("0.5", "0.5")
    assert priced(one) == (Reason.PRICE_ONLY, paid("0", "0.5"))
    assert priced(other) == (Reason.PRICE_ONLY, paid("0.5", "1"))
    assert priced(plainly) == (Reason.CONFLICT, None)
    assert spent(own, other) == paid("0.5", "1")
    third = own.approved("third", noisy("vat"))
    assert priced(third) == (Reason.OVER_BUDGET, paid("0.5", "1.5"))
    assert spent(own, third) is Reason.OVER_BUDGET


@pytest.mark.parametrize(
    ("epsilon", "cap"),
    [
        *(("0", "1"), ("-1", "1"), ("0.5", "0.4"), ("11", "20"), ("1", "21"), ("0.0001", "1")),
        *(("NaN", "1"), ("Infinity", "Infinity")),
    ],
)
def test_a_budget_that_is_none_is_refused(epsilon: str, cap: str) -> None:
    with pytest.raises(ValidationError):
        Privacy(epsilon=Decimal(epsilon), cap=Decimal(cap))


def test_a_plan_with_noise_promises_no_rule_that_it_does_not_keep() -> None:
    asked = noisy("size").model_dump()
    with pytest.raises(ValidationError, match="no rule but that of the days"):
        Aggregate.model_validate(asked | {"rules": TableRules(threshold=20).model_dump()})
    kept = Aggregate.model_validate(asked | {"rules": TableRules(days=60).model_dump()})
    assert kept.privacy is not None
    assert math.exp(kept.privacy.epsilon) < 1.65
