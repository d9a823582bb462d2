"""`saferoom attack`: it finds weaknesses that are planted, and says so by its exit status."""

from __future__ import annotations

import json
import math
import re
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import pytest
from typer.testing import CliRunner

from saferoom_attacks import patience
from saferoom_attacks.ask import ALL, BANK, NONE, RIVALS, Question, Told, typical
from saferoom_attacks.attack import Attack, Chance, Finding, Verdict
from saferoom_attacks.catalogue import ATTACKS
from saferoom_attacks.command import ALL as EVERY_ATTACK
from saferoom_attacks.command import Run, chosen, clear_leftovers
from saferoom_attacks.evolving import breed, questions, worth
from saferoom_attacks.federated_attacks import FEDERATED_ATTACKS, SERIES_ATTACKS
from saferoom_attacks.firms import (
    CHECKS,
    EVERY,
    FAMILY_BITS,
    INVOICES,
    PAYROLL,
    SECTORS,
    TURNOVER,
    phone,
)
from saferoom_attacks.measure import Learned, Seen, learned, mutual_bits
from saferoom_attacks.model import GateModel
from saferoom_attacks.model_attacks import MODEL_ATTACKS
from saferoom_attacks.score_attacks import SCORE_ATTACKS
from saferoom_attacks.suite import Scale, Suite
from saferoom_client.cli import app
from saferoom_client.sandbox.leftovers import LOCK, alone_in
from saferoom_proto.answer import Truth
from saferoom_proto.formula import FeatureShape
from saferoom_proto.reasons import Reason, SafeRoomError
from tests.attacks.simulated import SimRoom, simulated
from tests.flow.pages import DOCS, read_page, typing_in

SCALE = Scale(seed=1, copies=1, rounds=4)
IN_ONE_PROCESS = (*MODEL_ATTACKS, *SCORE_ATTACKS, *FEDERATED_ATTACKS, *SERIES_ATTACKS)
"""Attacks that the page tells of, and the command does not play."""


def one(name: str) -> Attack:
    (attack,) = chosen([name])
    assert isinstance(attack, Attack)
    return attack


def finding(attack: Attack, room: Learned, control: Learned) -> Finding:
    return Finding(attack, room, control, charged=5, told={}, queries=7, cut=0, seconds=0.1)


def played(folder: Path, *attacks: Attack) -> Iterator[Finding]:
    """Attack an enclave in this process, each attack on firms of its own."""
    records = [record for attack in attacks for record in attack.records]
    with simulated(folder, records) as (room, firms):
        left = list(firms.items())
        for attack in attacks:
            targets, left = dict(left[: len(attack.records)]), left[len(attack.records) :]
            yield Suite(attacks, SCALE).attack(attack, room, targets)


def test_attacks_that_choose_by_the_answers_stay_within_their_bounds(tmp_path: Path) -> None:
    search, evolved = played(tmp_path, one("binary-search"), one("evolved"))
    assert (search.verdict, evolved.verdict) == (Verdict.HELD, Verdict.HELD)
    # They learn something, or the room would hold by answering nothing.
    assert search.room.cells == search.charged == TURNOVER.budget_cells
    assert TURNOVER.budget_cells < evolved.room.cells <= evolved.charged


def test_a_price_of_one_cell_for_a_cut_is_found_by_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rule that the design had first, and that ADR 4 put right, as a planted weakness."""

    def one_cell_more(self: FeatureShape, cuts: int) -> int:
        return min(cuts + 1, self.cells) + self.can_be_unknown

    monkeypatch.setattr(FeatureShape, "cells_told", one_cell_more)
    (found,) = played(tmp_path, one("binary-search"))
    assert found.verdict is Verdict.OVER_BOUND
    assert found.room.cells == 9 > found.charged == TURNOVER.budget_cells


def test_refusals_that_look_at_the_record_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, honest = EVERY[::6], SimRoom._told

    def looks_at_the_record(room: SimRoom, subject: str, question: Question) -> Told:
        told = honest(room, subject, question)
        return Reason.WITHHELD if room.serials[subject] > len(few) // 2 else told

    attack = replace(one("refusal-patterns"), records=few)
    (found,) = played(tmp_path / "honest", attack)
    assert (found.verdict, found.room.cells) == (Verdict.HELD, 1)
    monkeypatch.setattr(SimRoom, "_told", looks_at_the_record)
    (found,) = played(tmp_path / "planted", attack)
    assert (found.verdict, found.room.cells) == (Verdict.OVER_BOUND, 2)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_every_attack_is_found_where_its_protection_is_missing(attack: Attack) -> None:
    suite = Suite([attack], SCALE)
    control = suite.control(attack)
    assert finding(attack, room=control, control=control).verdict is Verdict.OVER_BOUND


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_a_control_that_shows_nothing_fails(attack: Attack) -> None:
    silent = learned([Seen(record, 1 / len(EVERY), (), ()) for record in EVERY])
    assert finding(attack, room=silent, control=silent).verdict is Verdict.CONTROL_FAILED


def test_the_gate_at_home_answers_as_the_enclave_does(tmp_path: Path) -> None:
    dice = Random(7)
    pool = [
        *(
            Question.at(name, least=str(cut))
            for name in CHECKS
            for cut in (4, 12, 16, 28)
            if ":least" in CHECKS[name] and "turnover" in CHECKS[name]
        ),
        *(Question.at("invoices-least", least=str(cut)) for cut in INVOICES.grid),
        *(Question.at("payroll-least", least=str(cut)) for cut in PAYROLL.grid),
        *(Question.at("sector-is", one=each) for each in (*SECTORS, "E")),
        *(Question.at("turnover-least", least=each) for each in ("17", "NaN", "016", "x")),
        *(Question.at("phone-is", number=phone(amount)) for amount in range(5)),
        Question.at("phone-is", number="none"),
        Question.at("in-arrears"),
        Question.at("turnover-unknown"),
        Question.at("turnover-least"),
    ]
    with simulated(tmp_path, EVERY[::2]) as (room, firms):
        home = GateModel(firms)
        rows = [(subject, dice.choice(pool)) for subject in firms for _ in range(12)]
        assert home.ask(BANK, rows) == room.ask(BANK, rows)
        assert {Reason.OVER_BUDGET, Reason.OFF_GRID} <= set(home.ask(BANK, rows))
        assert all(home.charged_cells(each) == room.charged_cells(each) for each in firms)


def test_no_family_of_questions_that_was_bred_passes_the_cap() -> None:
    tree = breed(ALL, Chance(3, 0))
    assert 8 < worth(tree, ALL) <= 1 << FAMILY_BITS
    assert worth(breed(NONE, Chance(3, 0)), NONE) > 1 << FAMILY_BITS
    assert set(tree.values()) <= set(questions(ALL))


def pooled(groups: int) -> int:
    """Count the records that so many groups tell apart, by all features of one family."""
    firms, told = typical(), dict[str, list[Told]]()
    gate, left = GateModel(firms), list(questions(ALL))
    Random(3).shuffle(left)
    for bank in RIVALS[:groups]:
        for question in tuple(left):
            answers = gate.ask(bank, [(firm, question) for firm in firms])
            if any(isinstance(each, Truth) for each in answers):
                left.remove(question)
                for firm, one in zip(firms, answers, strict=True):
                    told.setdefault(firm, []).append(one)
    return len({tuple(each) for each in told.values()})


def test_a_cap_of_a_family_bounds_one_group_and_not_several_together() -> None:
    """What docs/attacks.md says that the promise leaves open; a bound on it would fail this."""
    by_groups = [pooled(groups) for groups in (1, 2, 4, 8)]
    assert by_groups[0] <= 1 << FAMILY_BITS
    assert by_groups == sorted(by_groups)
    assert by_groups[-1] == len(EVERY)
    text = (DOCS / "attacks.md").read_text("utf-8")
    assert f"tell {', '.join(map(str, by_groups[:3]))} and all {by_groups[-1]}" in text


def test_accuracy_and_bits_are_what_they_should_be() -> None:
    # A deterministic answer of k cells about n records: k/n right, and log2 k bits at most.
    seen = [Seen(n, 1 / 8, (), n // 8) for n in range(32)]
    result = learned(seen)
    assert (result.accuracy, result.cells, result.bits) == (4 / 32, 4, 2.0)
    assert result.mutual_bits == pytest.approx(2.0)
    assert not result.beats(4 / 32, by_chance=False)
    assert result.beats(3 / 32, by_chance=False)
    assert not result.beats(3 / 32, by_chance=True)  # could be luck, were there any
    assert mutual_bits([(a, b) for a, b in product(range(4), range(4))]) == pytest.approx(0.0)
    assert learned(seen, by_chance=True).mutual_bits is None


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_what_a_bound_allows_is_reckoned_from_the_prior(attack: Attack) -> None:
    assert 0 < attack.prior <= attack.allowed <= 1
    assert attack.allowed == pytest.approx(min(1.0, attack.prior * attack.bound))
    assert len({*attack.records}) == len(attack.records)
    assert attack.title.en != attack.title.zh


def test_a_run_that_is_over_a_bound_ends_in_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    attack = one("binary-search")
    control = Suite([attack], SCALE).control(attack)
    ended = finding(attack, control, control)

    def play(run: Run, *_: object) -> None:
        run.findings.append(ended)

    def stop(run: Run, *_: object) -> None:
        """Do as a run does that Ctrl-C ends."""

    monkeypatch.setattr(Run, "play", play)
    shown = CliRunner().invoke(app, ["attack", "--only", attack.name])
    assert (shown.exit_code, "OVER_BOUND" in shown.output) == (1, True)
    as_json = CliRunner().invoke(app, ["attack", "--only", attack.name, "--json"])
    assert (as_json.exit_code, json.loads(as_json.output)["held"]) == (1, False)
    ended = finding(attack, replace(control, right=0.0, cells=1), control)
    assert CliRunner().invoke(app, ["attack", "--only", attack.name]).exit_code == 0
    monkeypatch.setattr(Run, "play", stop)
    assert CliRunner().invoke(app, ["attack", "--only", attack.name]).exit_code == 130


def test_wrong_words_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SafeRoomError, match="no attack nothing"):
        chosen(["binary-search", "nothing"])
    (tmp_path / "mine").write_text("kept")
    shown = CliRunner().invoke(app, ["attack", "--out", str(tmp_path)])
    assert (shown.exit_code, (tmp_path / "mine").read_text()) == (1, "kept")
    assert "BAD_CONFIG" in shown.output
    listed = CliRunner().invoke(app, ["attack", "--list", "--json"])
    names = [each["name"] for each in json.loads(listed.output)["attacks"]]
    assert names == [attack.name for attack in EVERY_ATTACK]


def test_a_busy_room_is_asked_again_and_a_broken_one_fails_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patience, "PAUSE_SECONDS", 0.0)
    states = iter([Reason.OUTBOX_WAITING, Reason.STALE_HEAD])

    def busy() -> str:
        if (state := next(states, None)) is not None:
            raise SafeRoomError(state, "later")
        return "a verdict"

    def broken() -> str:
        raise SafeRoomError(Reason.UNAVAILABLE, "gone")

    assert patience.verdict_of(busy) == "a verdict"
    with pytest.raises(SafeRoomError) as gone:
        patience.verdict_of(broken)
    # It is no refusal that an attacker was told, or a room that is down would hold every bound.
    with pytest.raises(SafeRoomError, match="gone"):
        patience.reason_of(gone.value)
    with pytest.raises(SafeRoomError, match="no noise"):
        patience.reason_of(SafeRoomError(Reason.NOT_INSTALLED, "no noise"))
    assert patience.reason_of(SafeRoomError(Reason.OVER_BUDGET, "")) is Reason.OVER_BUDGET


def test_what_a_killed_run_left_is_cleared_and_what_runs_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    killed, running, others = (tmp_path / f"saferoom-attacked-{each}" for each in "abc")
    for folder in (killed, running, others):
        (folder / "room").mkdir(parents=True)
    (killed / LOCK).touch()
    with alone_in(running):
        clear_leftovers()
        assert sorted(each.name[-1] for each in tmp_path.iterdir()) == ["b", "c"]
    clear_leftovers()
    assert list(tmp_path.iterdir()) == [others]  # it has no lock yet: who made it has just begun


def found_in(document: str) -> dict[str, dict[str, Any]]:
    attacks: list[dict[str, Any]] = json.loads(document)["attacks"]
    return {each["name"]: each for each in attacks}


@pytest.mark.soak
def test_the_page_works_as_it_stands(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The short form: some attacks on a real room, with the command that the page shows."""
    page = read_page("attacks.md")
    with typing_in(tmp_path_factory.mktemp("attacks")) as hand:
        for block in page:
            hand.do(block)
        found = found_in((hand.folder / "attacks.json").read_text("utf-8"))
    assert {each["verdict"] for each in found.values()} == {"HELD"}
    refused = {name: set[str](each["told"]) for name, each in found.items()}
    assert refused["purpose-switch"] == {"NO_CONSENT", "WRONG_PURPOSE"}
    assert refused["confused-deputy"] == {"NO_CONSENT", "BAD_SIGNATURE", "NOT_ALLOWED"}
    assert refused["template-smuggling"] == {
        "NOT_APPROVED",
        "CERTIFICATE_MISMATCH",
        "UNKNOWN_STATEMENT",
    }


def test_the_page_tells_of_every_attack_and_none_that_passed_its_bound() -> None:
    text = (DOCS / "attacks.md").read_text("utf-8")
    described = re.findall(r"^\| `([a-z-]+)` \|", text, re.MULTILINE)
    every = [attack.name for attack in (*EVERY_ATTACK, *IN_ONE_PROCESS)]
    assert sorted(described) == sorted(every)
    rows = re.findall(r"^\| ([a-z-]+) \|.*\| ([A-Z_]+) \|$", text, re.MULTILINE)
    assert dict(rows) == dict.fromkeys(every, Verdict.HELD)


@pytest.mark.soak
def test_two_million_questions_pass_no_bound(tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["attack", "--queries", "2000000", "--json"])
    assert shown.exit_code == 0, shown.output
    document = json.loads(shown.stdout)
    assert document["queries"] >= 2_000_000
    assert math.isfinite(document["queries"])
