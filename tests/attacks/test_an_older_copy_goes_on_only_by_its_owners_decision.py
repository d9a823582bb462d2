"""An enclave's folder is lost, or was put back to win budget: only its approvers let it go on.

What a copy has forgotten is never given back, whoever put it there.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import pytest

from saferoom_client.chains import Chains
from saferoom_enclaves.asking import Ask
from saferoom_enclaves.pricing import price
from saferoom_enclaves.spending import Question
from saferoom_proto import chain
from saferoom_proto.answer import Truth
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.recovery import decided, open_decision
from saferoom_proto.statements import ChainLink, Recovered, Snapshot, load
from simulator import EnclaveHarness, Sample, tax_csv
from simulator.bank import SimBank
from simulator.sample import FEATURES, VAT_GRID

BEGINNING = ChainLink(index=0, previous=chain.GENESIS)


@dataclass
class Lost:
    """A room whose enclave answered on after a copy of its folder was made, which now is there."""

    room: Sample
    enclave: EnclaveHarness
    found: ChainLink
    follows: ChainLink
    said: list[Envelope]
    """All that the enclave said, in order."""

    def decide(self, *approvers: str, **changes: object) -> list[Envelope]:
        return [
            self.room.tax.recovery(self.found, self.follows, 1, each, **changes)
            for each in approvers
        ]

    def go_on(self) -> None:
        self.enclave.unlock(self.decide("chen", "li"))
        self.enclave.follow()

    def ask(self, value: str, serial: int = 1, bank: SimBank | None = None) -> Truth | Reason:
        """Ask about one threshold; give the answer, or why there is none."""
        self.room.world.clock.advance(1)
        self.enclave.follow()
        verdict = self.enclave.ask(self.room.question(serial, value, bank=bank))
        self.said.append(verdict.judged.entry.statement)
        return verdict.truth or verdict.reason or Reason.INTERNAL

    def load_anew(self) -> Snapshot:
        self.room.world.clock.advance(1)
        self.enclave.follow()
        entry = self.enclave.load({"firms": tax_csv(self.room.world)}).snapshot
        assert entry is not None
        self.said.append(entry.statement)
        self.enclave.follow()
        return load(entry.statement, Snapshot)


def end_of(enclave: EnclaveHarness) -> ChainLink:
    return enclave.enclave._state.position.chain


@pytest.fixture
def lost(room: Sample, enclave: EnclaveHarness) -> Lost:
    """Ask the first threshold, copy the folder, ask the second; then the copy lies there."""
    made = Lost(room, enclave, BEGINNING, BEGINNING, [])
    enclave.follow()
    first = enclave.enclave._open  # what the load said is proven, and not in the outbox any more
    assert first is not None
    made.said.append(first.journal.read(0).entry.statement)
    assert made.ask(VAT_GRID[0]) is Truth.YES
    made.found = end_of(enclave)
    enclave.enclave.close()
    copy = enclave.folder.with_name("copy")
    shutil.copytree(enclave.folder, copy)
    enclave.restart()
    assert made.ask(VAT_GRID[1]) is Truth.YES
    assert made.ask(VAT_GRID[1], serial=2) is Truth.NO  # it has arrears
    made.follows = end_of(enclave)
    enclave.put_back(copy)
    return made


def test_it_goes_on_after_the_last_word_that_anybody_knows(lost: Lost) -> None:
    lost.enclave.unlock(lost.decide("chen", "li"))
    first = next(
        each.statement
        for each in lost.enclave.enclave.outbox(0)
        if each.statement.payload_type == Recovered.payload_type()
    )
    lost.enclave.follow()
    recovered = load(first, Recovered)
    assert (recovered.found, recovered.chain) == (lost.found, lost.follows)
    assert recovered.closed_epoch == 1
    assert lost.ask(VAT_GRID[0]) is Truth.YES  # as before the copy was made: it tells nothing new
    chains = Chains()
    for statement in (*lost.said, first):
        chains.take(statement)
    assert list(chains.breaks()) == []
    assert list(chains.gaps()) == []


def test_no_bit_comes_back_by_it(lost: Lost) -> None:
    lost.go_on()
    # In the lost span one more cut was asked; all of them count as asked, about everybody.
    for value in VAT_GRID[1:]:
        assert lost.ask(value) is Reason.OVER_BUDGET
        assert lost.ask(value, serial=3) is Reason.OVER_BUDGET
    other = lost.room.other_bank
    lost.room.consent(3, other)
    assert lost.ask(VAT_GRID[0], serial=3, bank=other) is Reason.OVER_BUDGET
    # A load opens the next period, under the family's cap: there the lost one weighs in full.
    store = lost.load_anew().store
    assert store.epoch == 2
    assert lost.ask(VAT_GRID[1]) is Truth.YES
    account = lost.room.question(1, VAT_GRID[2])
    assert lost.enclave.ask(account).release.charges[0].cells_before == 3


def test_a_lost_period_weighs_on_the_familys_cap(lost: Lost) -> None:
    # Eight cells and "unknown" of the lost period are 3.17 bits: nothing is left of a cap of 4.
    limits = lost.room.tax.charter.charter.limits
    capped = [
        each.model_copy(update={"family_bits": Decimal(4)}) if each.level == 3 else each
        for each in limits
    ]
    lost.enclave.enclave.close()
    room = lost.room
    room.tax.adopt(limits=tuple(capped))
    room.tax.approve(room.steady.template, room.steady.certificate.digest)
    lost.enclave.put_back(lost.enclave.folder)
    lost.go_on()
    lost.load_anew()
    assert lost.ask(VAT_GRID[1], serial=3) is Reason.OVER_BUDGET


def test_the_price_that_is_told_is_the_one_that_is_refused(lost: Lost) -> None:
    lost.go_on()
    opened = lost.enclave.enclave._open
    assert opened is not None
    spending = opened.judge._spending
    pinned = next(each for ref, each in opened.standing.features.items() if ref.name == "vat_paid")
    charter, now = lost.room.tax.charter.charter, lost.room.world.now()
    subject = lost.room.world.subject(3).uscc
    ask = Ask.of(pinned.definition, pinned.shape, frozenset({1}))
    asked = Question(lost.room.bank.name, subject, 1, (ask,))
    told = price(spending, asked, charter, now)
    assert not told.within
    with pytest.raises(SafeRoomError) as refused, opened.state.transaction():
        spending.charge(asked, charter, now)
    assert refused.value.reason is Reason.OVER_BUDGET
    tomorrow = replace(asked, epoch=2)
    assert price(spending, tomorrow, charter, now).within


def test_a_question_from_before_is_not_answered_a_second_time(lost: Lost) -> None:
    question = lost.room.question(1, VAT_GRID[1])
    lost.room.world.clock.advance(1)
    lost.go_on()
    verdict = lost.enclave.ask(question)
    assert verdict.reason is Reason.EXPIRED


def test_a_consent_with_a_number_of_uses_counts_as_used_up(lost: Lost) -> None:
    firm, bank = lost.room.world.subject(3), lost.room.other_bank
    firm.give(bank, FEATURES, uses=5)
    lost.go_on()
    lost.load_anew()
    assert lost.ask(VAT_GRID[0], 3, bank) is Reason.CONSENT_USED_UP
    firm.give(bank, FEATURES, uses=5)
    assert lost.ask(VAT_GRID[0], 3, bank) is Truth.NO


@pytest.mark.parametrize(
    ("approvers", "changed"),
    [
        ((), {}),
        (("li",), {}),
        (("li", "li"), {}),
        (("chen", "li"), {"owner": "court"}),
        (("chen", "li"), {"room": "other.example"}),
        (("chen", "li"), {"found": ChainLink(index=1, previous=chain.GENESIS)}),
    ],
    ids=["nobody", "one", "one twice", "another owner", "another room", "another copy"],
)
def test_whoever_is_not_enough_decides_nothing(
    lost: Lost, approvers: tuple[str, ...], changed: dict[str, object]
) -> None:
    said: list[Envelope] = []
    for approver in approvers:
        lost.room.world.clock.advance(1)
        said += lost.decide(approver, **changed)
    assert decided(said, lost.room.tax.charter, lost.found) == ()
    if said:
        with pytest.raises(SafeRoomError):
            lost.enclave.unlock(said)
        assert end_of(lost.enclave) == lost.found


def test_approvers_who_say_different_things_decide_nothing(lost: Lost) -> None:
    one = lost.room.tax.recovery(lost.found, lost.follows)
    other = lost.room.tax.recovery(lost.found, lost.follows, 7, "li")
    assert decided([one, other], lost.room.tax.charter, lost.found) == ()
    with pytest.raises(SafeRoomError) as refused:
        open_decision([one, other], lost.room.tax.charter)
    assert refused.value.reason is Reason.NOT_APPROVED


def test_who_is_no_approver_any_more_decides_nothing(lost: Lost) -> None:
    said = lost.decide("chen", "wang")
    approvers = lost.room.tax.charter.charter.approvers
    lost.room.tax.adopt(approvers=tuple(each for each in approvers if each.name != "wang"))
    assert decided(said, lost.room.tax.charter, lost.found) == ()


def left_out(lost: Lost) -> tuple[list[Envelope], list[Envelope]]:
    return lost.decide("chen", "li"), []


def slipped_in(lost: Lost) -> tuple[list[Envelope], list[Envelope]]:
    return [], lost.decide("chen", "li")


@pytest.mark.parametrize("tampered", [left_out, slipped_in])
def test_nobody_between_agent_and_enclave_adds_a_decision_or_leaves_one_out(
    lost: Lost, tampered: Callable[[Lost], tuple[list[Envelope], list[Envelope]]]
) -> None:
    sealed_under, handed_over = tampered(lost)
    endorsement = lost.enclave.endorsement()
    sealed = lost.enclave.sealed_keys(endorsement, recoveries=sealed_under)
    with pytest.raises(SafeRoomError) as refused:
        lost.enclave.enclave.unlock(endorsement, sealed, handed_over)
    assert refused.value.reason is Reason.BAD_SEAL


def test_an_owner_that_lost_the_folder_comes_back_into_the_same_room(
    lost: Lost, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    lost.enclave.put_back(empty)
    lost.found = BEGINNING
    lost.go_on()
    assert end_of(lost.enclave).index == lost.follows.index + 1
    store = lost.load_anew().store
    assert store.epoch == 2  # the first period is not opened a second time
    assert lost.ask(VAT_GRID[1]) is Truth.YES  # its consent came with the stream


def test_the_decision_outlives_a_restart(lost: Lost) -> None:
    lost.go_on()
    lost.enclave.restart()
    assert lost.ask(VAT_GRID[2]) is Reason.OVER_BUDGET
    assert lost.ask(VAT_GRID[0]) is Truth.YES
