"""Two stores that differ in the record of one subject: nobody but the asker sees a difference."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from saferoom_proto.answer import Truth
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import Outcome
from simulator import EnclaveHarness, Firm, Sample, sample, tax_csv
from simulator.harness import Verdict
from simulator.sample import FIRMS, VAT_GRID
from tests.attacks.public import masked_log, public

RECORDS = {
    "poor": Firm("5000", arrears=True, rating="D"),
    "middling": Firm("300000", arrears=False, rating="B"),
    "rich": Firm("99000000", arrears=False, rating="A"),
    "of no known payment": Firm("", arrears=True, rating="C"),
    "of no class": Firm("300000", arrears=False, rating="X"),
}
"""What the store may hold about firm 1; the last possibility is nothing at all."""


def questions(seed: int) -> list[tuple[str, str]]:
    """Make up a sequence of questions, some of them wrong; the same one for every store."""
    draw = random.Random(seed)
    values = (*VAT_GRID, *VAT_GRID, "777", "NaN")
    return [
        (draw.choice(("steady", "steady", "rated", "public")), draw.choice(values))
        for _ in range(14)
    ]


def seen(
    folder: Path, record: Firm | None, asked: Sequence[tuple[str, str]]
) -> tuple[list[Verdict], list[str]]:
    """Ask a sequence of questions about firm 1, in a room of which only its record differs."""
    said = sample("the same")
    said.consent(1)
    rated = said.approved("rated", "tax.rating IN ('A', 'B') AND tax.vat_paid >= :min_vat")
    checks = {"steady": said.steady, "rated": rated, "public": said.public}
    others = {serial: firm for serial, firm in FIRMS.items() if serial != 1}
    firms = others if record is None else others | {1: record}
    with closing(EnclaveHarness(said.tax, folder)) as enclave:
        enclave.load({"firms": tax_csv(said.world, firms)})
        enclave.follow()
        verdicts = [
            enclave.ask(said.question(1, value, asked=checks[check])) for check, value in asked
        ]
        return verdicts, masked_log(enclave.log.getvalue())


@pytest.mark.parametrize("seed", range(4))
def test_the_same_questions_get_the_same_refusals_charges_and_sizes(
    tmp_path: Path, seed: int
) -> None:
    asked = questions(seed)
    stores = [*RECORDS.values(), None]
    rooms = [seen(tmp_path / str(number), record, asked) for number, record in enumerate(stores)]
    first, first_log = rooms[0]
    for verdicts, log in rooms[1:]:
        assert [public(each) for each in verdicts] == [public(each) for each in first]
        assert log == first_log
    # The comparison is of something: there were answers that differ, and refusals.
    answers = {tuple(verdict.truth for verdict in verdicts) for verdicts, _ in rooms}
    assert len(answers) > 2
    assert any(each.release.outcome is Outcome.REFUSED for each in first)
    assert any(each.release.outcome is Outcome.ANSWERED for each in first)


def test_yes_no_and_not_found_have_one_length(room: Sample, enclave: EnclaveHarness) -> None:
    verdicts = [enclave.ask(room.question(serial, "10000")) for serial in (1, 2, 4)]
    assert {each.truth for each in verdicts} == set(Truth)
    assert len({len(each.judged.sealed) for each in verdicts}) == 1
    assert len({len(each.judged.entry.statement.payload) for each in verdicts}) == 1
    commitments = {each.release.answer for each in verdicts}
    assert len(commitments) == 3


def test_the_same_answer_twice_cannot_be_recognised(room: Sample, enclave: EnclaveHarness) -> None:
    one, other = (enclave.ask(room.question(1, "10000")) for _ in range(2))
    assert one.truth is other.truth is Truth.YES
    assert one.release.answer != other.release.answer  # a salted commitment: no word fits it
    assert one.judged.sealed != other.judged.sealed


@pytest.mark.parametrize("serial", [1, 4, 9])
def test_whether_a_subject_is_in_the_store_is_not_told_without_its_consent(
    room: Sample, enclave: EnclaveHarness, serial: int
) -> None:
    # Bank-b has an agreement and no consent: of a firm with a record, without a value, unheard of.
    verdict = enclave.ask(room.question(serial, bank=room.other_bank))
    assert verdict.reason is Reason.NO_CONSENT
    assert verdict.release.charges == ()
    assert verdict.release.consent is None
    assert room.world.subject(serial).uscc not in verdict.judged.entry.statement.payload.decode()


def test_with_consent_the_unheard_of_is_as_the_unknown(
    room: Sample, enclave: EnclaveHarness
) -> None:
    unknown, unheard = (enclave.ask(room.question(serial, "10000")) for serial in (4, 9))
    assert unknown.truth is unheard.truth is Truth.NOT_FOUND
    assert unknown.release.charges == unheard.release.charges != ()
    assert len(unknown.judged.sealed) == len(unheard.judged.sealed)


def test_a_refusal_holds_no_answer_and_no_parameter(room: Sample, enclave: EnclaveHarness) -> None:
    for value in ("777001", "Infinity"):
        verdict = enclave.ask(room.question(1, value))
        payload = verdict.judged.entry.statement.payload.decode()
        assert (verdict.reason, verdict.judged.sealed) == (Reason.OFF_GRID, b"")
        assert verdict.release.answer is None
        assert value not in payload
        assert value not in enclave.log.getvalue()
