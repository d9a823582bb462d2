"""The auditor replays sums over owners: whose parts about which periods were told to whom."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from saferoom_client.audit.book import Book
from saferoom_client.audit.linked import Learners
from saferoom_client.audit.run import Auditor
from saferoom_client.audit.sums import Sums
from saferoom_client.values import LogEntry
from saferoom_proto.encoding import sha256_digest
from saferoom_proto.entry import commitment, leaf
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import Outcome, TableRelease
from saferoom_proto.statements.enclave import StoreState
from simulator.added_up import OFFICES, Offices, sums_of
from tests.proto.golden_tables import words_on_tables

FOUR: Final = (*OFFICES, "yonder")
FIRST: Final[dict[str, int]] = dict.fromkeys(OFFICES, 1)
SECOND: Final[dict[str, int]] = dict.fromkeys(OFFICES, 2)


def told(
    sums: Sums,
    request: str,
    periods: dict[str, int],
    *,
    group: str = "ring",
    owners: tuple[str, ...] = OFFICES,
    records: int | None = None,
    institutions: Sequence[str] = ("bank-a",),
    **other: object,
) -> list[Reason]:
    """Take the words of owners on a request, each about a period; give what is wrong."""
    word = words_on_tables()["table-release with noise"]
    assert isinstance(word, TableRelease)
    found: list[Reason] = []
    for owner, epoch in periods.items():
        fields: dict[str, object] = {
            "owner": owner,
            "request": sha256_digest(request.encode()),
            "store": StoreState(epoch=epoch, digest=sha256_digest(b"store")),
        }
        said = word.model_copy(update=fields | other)
        aggregate = sums_of(owners=owners if len(owners) > 1 else OFFICES)
        plan = aggregate if len(owners) > 1 else aggregate.of(owner)
        by = Learners(group, (group,), frozenset(institutions))
        faults = sums.take(said, (owner, records or epoch), plan, by)
        found += [each.reason for each in faults]
    return found


def test_the_same_sum_again_and_one_of_other_records_of_all_are_right() -> None:
    sums = Sums()
    assert told(sums, "one", FIRST) == []
    assert told(sums, "two", FIRST) == []
    assert told(sums, "three", SECOND) == []
    assert told(sums, "refused", {"east": 3}, outcome=Outcome.REFUSED) == []


@pytest.mark.parametrize("loaded", [("west",), ("east", "north")])
def test_a_sum_after_too_few_owners_loaded_is_found(loaded: tuple[str, ...]) -> None:
    sums = Sums()
    assert told(sums, "one", FIRST) == []
    later = FIRST | dict.fromkeys(loaded, 2)
    # Of another group it is bounded by epsilon alone, as docs/statistics.md says.
    assert told(sums, "other", later, group="alone") == []
    assert told(sums, "two", later) == [Reason.CONFLICT]


def test_what_one_owner_did_not_answer_told_nobody_anything() -> None:
    sums = Sums()
    assert told(sums, "one", {"east": 1, "north": 1}) == []
    assert told(sums, "two", FIRST | {"west": 2}) == []


def test_sums_of_other_owners_and_tables_alone_of_the_same_records_are_found() -> None:
    sums = Sums()
    assert told(sums, "one", FIRST) == []
    alone = told(sums, "alone", {"east": 1}, owners=("east",))
    assert alone == [Reason.CONFLICT]
    wider = told(sums, "wider", FIRST | {"yonder": 1}, owners=FOUR)
    assert wider == [Reason.CONFLICT] * 4


def test_a_sum_of_records_that_were_gone_back_to_is_found() -> None:
    sums = Sums()
    assert told(sums, "one", {"east": 3}, records=1) == [Reason.CONFLICT]


def test_one_owner_more_over_periods_of_all_the_others_is_no_violation() -> None:
    sums = Sums()
    assert told(sums, "one", FIRST) == []
    later = SECOND | {"yonder": 1}
    assert told(sums, "two", later, owners=FOUR) == []


@pytest.mark.parametrize(
    ("owners", "institutions", "reasons"),
    [
        (OFFICES, ("bank-a", "north"), [Reason.NOT_ALLOWED] * 3),
        (FOUR, ("bank-a", "north"), []),
        (FOUR, ("east", "north"), [Reason.NOT_ALLOWED] * 4),
    ],
)
def test_a_sum_of_which_who_learns_it_knows_too_many_parts_is_found(
    owners: tuple[str, ...], institutions: tuple[str, ...], reasons: list[Reason]
) -> None:
    periods = dict.fromkeys(owners, 1)
    assert told(Sums(), "one", periods, owners=owners, institutions=institutions) == reasons


def audited(room: Offices) -> list[tuple[Reason, str]]:
    """Have everything that the room's log holds audited; give the violations and who said it."""
    auditor = Auditor(Book(room.world.trust()), [room.world.heads.verify_key], 0)
    for index, statement in enumerate(room.world.ledger.statements):
        salt = room.world.ledger.recorded(statement).salt
        committed = leaf(commitment(salt, statement.digest))
        auditor.take(LogEntry(index, committed, statement, salt))
    auditor.finish()
    return [(each.reason, each.named.whose) for each in auditor.violations]


def test_enclaves_that_tell_an_owner_the_sum_of_the_two_others_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: three real enclaves that leave the rule out, and a whole log of what they said."""
    room = Offices.make(tmp_path)
    try:
        office = room.banks[3]
        of = room.approved("of-its-own", sums_of(), bank=office)
        room.ask(room.request(of, room.bank))
        room.ask(room.request(of, office))
        room.follow()
        assert audited(room) == []
        monkeypatch.setattr("saferoom_enclaves.tables.charge.FEWEST_SUMMED", 2)
        room.ask(room.request(of, office))
        room.follow()
        assert audited(room) == [(Reason.NOT_ALLOWED, each) for each in OFFICES]
    finally:
        room.close()
