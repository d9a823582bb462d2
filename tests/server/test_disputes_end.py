"""How disputes end: by their owner's answer, or by their subject. Open ones alone count."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import pytest

from saferoom import disputes as of_disputes
from saferoom import reports
from saferoom.disputes import REMEMBERED
from saferoom_proto.encoding import b64
from saferoom_proto.identity import subject_uri
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import Finding
from simulator import SimOwner, SimSubject
from tests.server.conftest import Ready
from tests.server.disputing import answer, dispute, disputes, reason_of, refusal_of, withdraw
from tests.server.room.opened import Calls, OpenedRoom

FEW = 4
PASSED_ON, CORRECTED = Finding.PASSED_ON, Finding.CORRECTED


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a handful be as many as may be open."""
    monkeypatch.setattr(of_disputes, "MOST_WITH_OWNER", FEW)
    monkeypatch.setattr(of_disputes, "MOST_ANSWERS", FEW)


@dataclass(frozen=True)
class Sides:
    """Two firms and the tax office, and how each calls the room."""

    room: OpenedRoom
    firm: SimSubject
    firms: Calls
    other: SimSubject
    others: Calls
    office: SimOwner
    offices: Calls


@pytest.fixture
def sides(ready: Ready) -> Sides:
    """Give who has a dispute with whom."""
    room, (firm, other) = ready.room, map(ready.sample.world.subject, (1, 2))
    calls = map(room.subject_calls, (firm, other))
    return Sides(room, firm, next(calls), other, next(calls), ready.sample.tax, room.calls("tax"))


async def test_an_answer_and_a_withdrawal_are_shown_to_the_two_sides_alone(sides: Sides) -> None:
    room, firm, office = sides.room, sides.firm, sides.office
    first, second, third = (firm.dispute() for _ in range(3))
    for said in (first, second, third):
        await dispute(sides.firms, said)
    settled, back = office.answer(first), firm.withdraw(second)
    before = room.server.books.ledger.tip().stream("tax")
    for _ in range(2):  # what was said once is given back
        await answer(sides.offices, settled)
        await withdraw(sides.firms, back)
    assert room.server.books.ledger.tip().stream("tax") == before  # no enclave hears of it
    told = [each.digest for each in (first, second, third, settled, back)]
    assert await disputes(sides.firms) == await disputes(sides.offices) == told
    assert await disputes(room.calls("court")) == await disputes(sides.others) == []
    # Of two at once one counts.
    at_once = (
        withdraw(sides.firms, firm.withdraw(third)),
        answer(sides.offices, office.answer(third)),
    )
    ends = await asyncio.gather(*at_once, return_exceptions=True)
    assert [isinstance(each, Exception) for each in ends].count(True) == 1
    assert len(await disputes(sides.firms)) == len(told) + 1


async def test_what_is_passed_on_is_open_until_it_is_settled_or_taken_back(sides: Sides) -> None:
    firm, office = sides.firm, sides.office
    first, second = firm.dispute(), firm.dispute()
    await dispute(sides.firms, first)
    await dispute(sides.firms, second)
    await answer(sides.offices, office.answer(first, finding=PASSED_ON))
    await answer(sides.offices, office.answer(first))
    await answer(sides.offices, office.answer(first, finding=CORRECTED))  # it thought again
    told = (Reason.CONFLICT, "its owner settled it")
    again = office.answer(first, finding=PASSED_ON, words="And again.")
    assert await refusal_of(answer(sides.offices, again)) == told
    assert await refusal_of(withdraw(sides.firms, firm.withdraw(first))) == told
    await answer(sides.offices, office.answer(second, finding=PASSED_ON))
    await withdraw(sides.firms, firm.withdraw(second))
    told = (Reason.CONFLICT, "its subject took it back")
    assert await refusal_of(answer(sides.offices, office.answer(second))) == told
    firm.world.clock.advance(1)
    assert await refusal_of(withdraw(sides.firms, firm.withdraw(second))) == told
    told = (Reason.UNKNOWN_STATEMENT, "tax has no snapshot of epoch 7")
    unheard = office.answer(first, finding=CORRECTED, epoch=7)
    assert await refusal_of(answer(sides.offices, unheard)) == told


async def test_nobody_answers_in_an_owners_name(sides: Sides, ready: Ready) -> None:
    office, court, said = sides.office, ready.sample.court, sides.firm.dispute()
    await dispute(sides.firms, said)
    for calls in (sides.firms, sides.room.calls("bank-a"), sides.room.calls("court")):
        assert await reason_of(answer(calls, office.answer(said))) is Reason.NOT_ALLOWED
    forged = (
        office.answer(said, sides.firm.key),
        office.answer(said, office.approvers["li"]),  # in chen's name
        office.answer(said, approver="nobody"),
    )
    for each in forged:
        assert await reason_of(answer(sides.offices, each)) is Reason.BAD_SIGNATURE
    former = office.answer(said, charter="sha256:" + "0" * 64)
    assert await reason_of(answer(sides.offices, former)) is Reason.CONFLICT
    elsewhere = court.answer(said)
    another = office.answer(said, subject=sides.other.uscc)
    nothing = office.answer(said, dispute=office.charter.digest)
    theirs = ((sides.room.calls("court"), elsewhere), (sides.offices, another))
    for calls, each in (*theirs, (sides.offices, nothing)):
        assert await reason_of(answer(calls, each)) is Reason.UNKNOWN_STATEMENT
    # Nor does anybody take it back but its subject.
    for calls in (sides.others, sides.offices):
        assert await reason_of(withdraw(calls, sides.firm.withdraw(said))) is Reason.NOT_ALLOWED
    in_its_name = sides.firm.withdraw(said, sides.other.key)
    assert await reason_of(withdraw(sides.firms, in_its_name)) is Reason.BAD_SIGNATURE
    for calls, each in (
        (sides.others, sides.other.withdraw(said)),
        (sides.firms, sides.firm.withdraw(said, owner="court")),
    ):
        assert await reason_of(withdraw(calls, each)) is Reason.UNKNOWN_STATEMENT
    assert await disputes(sides.firms) == [said.digest]


async def test_what_is_settled_makes_room_for_more_and_nothing_else_does(
    sides: Sides, few: None
) -> None:
    firm, other, office = sides.firm, sides.other, sides.office
    said = [firm.dispute() for _ in range(FEW)]
    for each in said:
        await dispute(sides.firms, each)
    await answer(sides.offices, office.answer(said[0], finding=PASSED_ON))
    assert await reason_of(dispute(sides.firms, firm.dispute())) is Reason.TOO_MANY_REQUESTS
    await answer(sides.offices, office.answer(said[1]))
    await dispute(sides.firms, firm.dispute())
    assert await reason_of(dispute(sides.firms, firm.dispute())) is Reason.TOO_MANY_REQUESTS
    await dispute(sides.firms, said[1])  # it is there already
    # Nor does opening and taking back fill the log.
    for _ in range(FEW):
        each = other.dispute()
        await dispute(sides.others, each)
        await withdraw(sides.others, other.withdraw(each))
    assert await reason_of(dispute(sides.others, other.dispute())) is Reason.TOO_MANY_REQUESTS
    other.world.clock.advance(REMEMBERED.total_seconds() + 1)
    await dispute(sides.others, other.dispute())


@pytest.mark.parametrize(
    ("days", "reason"),
    [(-1.1, Reason.EXPIRED), (0.1, Reason.NOT_YET_VALID)],
    ids=["older", "ahead"],
)
async def test_what_is_said_of_a_dispute_is_of_the_day_on_which_it_comes(
    sides: Sides, days: float, reason: Reason
) -> None:
    """An auditor reckons by its date when the owner should have settled it."""
    firm, office = sides.firm, sides.office
    at = firm.world.now() + timedelta(days=days)
    said = firm.dispute()
    await dispute(sides.firms, said)
    assert await reason_of(dispute(sides.firms, firm.dispute(at=at))) is reason
    assert await reason_of(withdraw(sides.firms, firm.withdraw(said, at=at))) is reason
    assert await reason_of(answer(sides.offices, office.answer(said, at=at))) is reason


async def test_no_subject_alone_has_an_audit_find_a_fault_of_the_log(sides: Sides) -> None:
    """What is dated before its certificate was valid is one: such a dispute is not taken."""
    firm, world = sides.firm, sides.firm.world
    certified = world.issuer.issue(subject_uri(firm.uscc), firm.key.verify_key, world.now())
    at = world.now() - timedelta(hours=1)
    early = firm.dispute(certificate=b64(certified), at=at)
    assert await reason_of(dispute(sides.firms, early)) is Reason.NOT_YET_VALID
    said = firm.dispute()
    await dispute(sides.firms, said)
    taken_back = firm.withdraw(said, certificate=b64(certified), at=at)
    assert await reason_of(withdraw(sides.firms, taken_back)) is Reason.NOT_YET_VALID
    assert await disputes(sides.firms) == [said.digest]


async def test_no_owner_buries_a_subject_under_answers_to_one_dispute(
    sides: Sides, few: None
) -> None:
    office, first, second = sides.office, sides.firm.dispute(), sides.firm.dispute()
    for said in (first, second):
        await dispute(sides.firms, said)
    flood = [office.answer(first, words=f"No, for the {n}. time.") for n in range(FEW + 3)]
    told = await asyncio.gather(
        *(answer(sides.offices, one) for one in flood), return_exceptions=True
    )
    taken = [one for one, end in zip(flood, told, strict=True) if not isinstance(end, Exception)]
    assert len(taken) == FEW
    full = (Reason.TOO_MANY_REQUESTS, f"it has {FEW} answers: the newest one counts")
    assert await refusal_of(answer(sides.offices, office.answer(first, words="And no."))) == full
    await answer(sides.offices, taken[0])  # it is there already
    await answer(sides.offices, office.answer(second))
    assert len(await disputes(sides.firms)) == 2 + FEW + 1


async def test_what_other_owners_are_told_takes_no_room_from_what_a_report_is_marked_by(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    firm, office, archive = sides.firm, sides.office, sides.room.server.books.archive
    said = firm.dispute()
    await dispute(sides.firms, said)
    answers = [office.answer(said, finding=each) for each in (PASSED_ON, CORRECTED)]
    for each in answers:
        await answer(sides.offices, each)
    court, words = {"owner": "court", "field": "judgments.dishonest"}, "of another owner " * 100
    await dispute(sides.firms, firm.dispute(**court, words=words))
    room = len(said.payload) + len(answers[-1].payload)
    monkeypatch.setattr(reports, "MOST_BYTES", room)
    # Of the answers the newest, and what ends a dispute never without it.
    found = await reports.disputes_of(archive, "tax", firm.uscc)
    assert [each.digest for each in found] == [said.digest, answers[-1].digest]
    monkeypatch.setattr(reports, "MOST_BYTES", room - 1)
    found = await reports.disputes_of(archive, "tax", firm.uscc)
    assert [each.digest for each in found] == [answers[-1].digest]
