"""Attacks that ask only what may be asked, and combine what they are told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from saferoom_attacks.ask import (
    ALLIES,
    BANK,
    RIVALS,
    ROVER,
    Heard,
    Oracle,
    Question,
    Told,
    Value,
    least,
)
from saferoom_attacks.attack import Chance
from saferoom_attacks.firms import AMOUNTS, MIDDLE, SECTORS, TURNOVER, phone
from saferoom_proto.answer import Truth


def _spaced(digits: str) -> str:
    """Write a number as people do."""
    return f"{digits[:3]} {digits[3:7]}-{digits[7:]}"


def _wide(digits: str) -> str:
    """Write digits as wide ones."""
    return digits.translate({ord("0") + n: chr(0xFF10 + n) for n in range(10)})


class Notes:
    """What was heard about each target, in order."""

    def __init__(self, targets: Iterable[str]) -> None:
        self._heard: Final[dict[str, list[tuple[Question, Told]]]] = {each: [] for each in targets}

    def ask(self, oracle: Oracle, bank: str, questions: Mapping[str, Question]) -> dict[str, Told]:
        """Ask each target's question, and note what is told."""
        told = dict(zip(questions, oracle.ask(bank, list(questions.items())), strict=True))
        for target, question in questions.items():
            self._heard[target].append((question, told[target]))
        return told

    def ask_all(self, oracle: Oracle, bank: str, question: Question) -> None:
        """Ask one question about all targets."""
        self.ask(oracle, bank, dict.fromkeys(self._heard, question))

    def note(self, target: str, question: Question, told: Told) -> None:
        """Note what was told in another way."""
        self._heard[target].append((question, told))

    def done(self) -> dict[str, Heard]:
        """Give it all."""
        return {target: tuple(heard) for target, heard in self._heard.items()}


def binary_search(oracle: Oracle, targets: Sequence[str], chance: Chance) -> Mapping[str, Heard]:
    """Halve the interval of an amount; where that is refused, try elsewhere in it."""
    notes, dice = Notes(targets), chance.dice("binary-search")
    spans: dict[str, tuple[int, int]] = dict.fromkeys(targets, (0, AMOUNTS))
    for number in range(AMOUNTS.bit_length() - 1 + chance.rounds):
        drawn = dice.random()
        halving = number < AMOUNTS.bit_length() - 1
        asked = {
            target: (low + high) // 2 if halving else low + 1 + int(drawn * (high - low - 1))
            for target, (low, high) in spans.items()
            if high - low > 1
        }
        told = notes.ask(oracle, BANK, {target: least(each) for target, each in asked.items()})
        for target, middle in asked.items():
            low, high = spans[target]
            if told[target] is Truth.YES:
                spans[target] = (middle, high)
            elif told[target] is Truth.NO:
                spans[target] = (low, middle)
    return notes.done()


def one_group(oracle: Oracle, targets: Sequence[str], chance: Chance) -> Mapping[str, Heard]:
    """Eight banks of one group share out the thresholds among them."""
    notes, dice = Notes(targets), chance.dice("one-group")
    cuts = list(TURNOVER.grid)
    dice.shuffle(cuts)
    for bank, cut in zip(ALLIES, [*cuts, cuts[0]], strict=True):
        notes.ask_all(oracle, bank, least(cut))
    for _ in range(chance.rounds):
        notes.ask_all(oracle, dice.choice(ALLIES), least(dice.choice(TURNOVER.grid)))
    return notes.done()


def eight_groups(oracle: Oracle, targets: Sequence[str], chance: Chance) -> Mapping[str, Heard]:
    """Eight banks that are no group pool what each may learn; each also tries off the grid."""
    notes, dice = Notes(targets), chance.dice("eight-groups")
    for number, bank in enumerate(RIVALS):
        notes.ask_all(oracle, bank, least(TURNOVER.grid[number % len(TURNOVER.grid)]))
        notes.ask_all(oracle, bank, least(4 * number + 2))
    for _ in range(chance.rounds):
        notes.ask_all(oracle, dice.choice(RIVALS), least(dice.randrange(1, AMOUNTS)))
    return notes.done()


def correlated(oracle: Oracle, targets: Sequence[str], chance: Chance) -> Mapping[str, Heard]:
    """Ask every feature that tells of the amount, and put the answers together."""
    notes, dice = Notes(targets), chance.dice("correlated")
    for question in _of_the_family(0):
        notes.ask_all(oracle, BANK, question)
    for _ in range(chance.rounds):
        notes.ask_all(oracle, BANK, dice.choice(_of_the_family(0)))
    return notes.done()


PERIODS: Final = 3


def time_slicing(oracle: Oracle, targets: Sequence[str], chance: Chance) -> Mapping[str, Heard]:
    """Ask on in each new period what was over the budget in the one before."""
    notes, dice = Notes(targets), chance.dice("time-slicing")
    for period in range(PERIODS):
        if period:
            oracle.next_period()
        for question in _of_the_family(2 * period):
            notes.ask_all(oracle, BANK, question)
        for _ in range(chance.rounds // PERIODS):
            notes.ask_all(oracle, BANK, dice.choice(_of_the_family(period)))
    return notes.done()


def existence(oracle: Oracle, targets: Sequence[str], chance: Chance) -> Mapping[str, Heard]:
    """Ask everything about firms of which nothing is known: is there a row at all?"""
    notes, dice = Notes(targets), chance.dice("existence")
    everything = [
        Question.at("turnover-unknown"),
        least(MIDDLE),
        Question.at("in-arrears"),
        Question.at("sector-is", one="A"),
        *(Question.at(each, least=str(MIDDLE)) for each in _JOINED),
    ]
    for question in everything:
        notes.ask_all(oracle, BANK, question)
    for _ in range(chance.rounds):
        notes.ask_all(oracle, BANK, dice.choice(everything))
    return notes.done()


def aborted(oracle: Oracle, targets: Sequence[str], chance: Chance) -> Mapping[str, Heard]:
    """Ask for every threshold and hang up, in the hope of an answer that nobody charged."""
    notes, dice = Notes(targets), chance.dice("aborted-calls")
    rows = [(target, least(cut)) for target in targets for cut in TURNOVER.grid]
    dice.shuffle(rows)
    for (target, question), told in zip(rows, oracle.hang_up(BANK, rows), strict=True):
        if isinstance(told, Truth):
            notes.note(target, question, told)
    return notes.done()


def regrouping(oracle: Oracle, targets: Sequence[str], chance: Chance) -> Mapping[str, Heard]:
    """Ask on with each next agreement, which names another group."""
    notes, dice = Notes(targets), chance.dice("regrouping")
    cuts = list(TURNOVER.grid)
    dice.shuffle(cuts)
    for cut in cuts:
        notes.ask_all(oracle, ROVER, least(cut))
        oracle.regroup(ROVER)
    return notes.done()


def stated_values(oracle: Oracle, targets: Sequence[str], chance: Chance) -> Mapping[str, Heard]:
    """Try one likely telephone number after the other, by different banks, each in three forms."""
    notes, dice = Notes(targets), chance.dice("stated-values")
    amounts = list(range(GUESSES))
    dice.shuffle(amounts)
    for number, amount in enumerate(amounts):
        if number == 2:  # noqa: PLR2004 -- before the attempts are used up
            oracle.next_period()
        for write in _WRITTEN:
            said = Question.at("phone-is", number=write(phone(amount)))
            notes.ask_all(oracle, ALLIES[number % len(ALLIES)], said)
    return notes.done()


GUESSES: Final = 8
_WRITTEN: Final[tuple[Callable[[str], str], ...]] = (str, _spaced, _wide)


def at_once(oracle: Oracle, targets: Sequence[str], chance: Chance) -> Mapping[str, Heard]:
    """Ask for all thresholds by eight banks of a group at once: is one judged beside another?"""
    notes, dice = Notes(targets), chance.dice("at-once")
    rows = [(target, least(cut)) for target in targets for cut in TURNOVER.grid]
    dice.shuffle(rows)
    answered = (one for one in oracle.at_once(ALLIES, rows) if isinstance(one[1], Truth))
    for (target, question), told in dict.fromkeys(answered):
        notes.note(target, question, told)
    return notes.done()


def refusals(oracle: Oracle, targets: Sequence[str], chance: Chance) -> Mapping[str, Heard]:
    """Look only at what is refused, whatever was answered in between."""
    dice = chance.dice("refusal-patterns")
    sequence = [
        dice.choice([*_of_the_family(0), *(least(each) for each in (3, 17, 30))])
        for _ in range(2 * len(TURNOVER.grid) + chance.rounds)
    ]
    notes = Notes(targets)
    for question in sequence:
        told = oracle.ask(BANK, [(target, question) for target in targets])
        for target, one in zip(targets, told, strict=True):
            notes.note(target, question, Truth.YES if isinstance(one, Truth) else one)
    return notes.done()


def repeats(oracle: Oracle, targets: Sequence[str], chance: Chance) -> Mapping[str, Heard]:
    """Ask one question again and again, in two forms, and average."""
    notes = Notes(targets)
    for number in range(max(_REPEATS, chance.rounds)):
        if number % 2:
            notes.ask_all(oracle, BANK, Question.at("turnover-below", least=str(MIDDLE)))
        else:
            notes.ask_all(oracle, BANK, least(MIDDLE))
    return notes.done()


_REPEATS: Final = 64


def formulas(oracle: Oracle, targets: Sequence[str], chance: Chance) -> Mapping[str, Heard]:
    """Solve formulas over two features for each of them."""
    notes, dice = Notes(targets), chance.dice("formulas")
    everything = [Question.at(each, least=str(cut)) for each in _JOINED for cut in TURNOVER.grid]
    dice.shuffle(everything)
    for question in everything:
        notes.ask_all(oracle, BANK, question)
    for _ in range(chance.rounds):
        notes.ask_all(oracle, BANK, dice.choice(everything))
    return notes.done()


_JOINED: Final = ("both", "either", "not-both", "one-only")


def smuggling(oracle: Oracle, targets: Sequence[str], chance: Chance) -> Mapping[str, Heard]:
    """Put into parameters what a careless reader would take for something else."""
    notes, dice = Notes(targets), chance.dice("parameter-smuggling")
    ask, allowed = "turnover-least", {str(cut) for cut in TURNOVER.grid}
    for value in (*_ODD, *(str(dice.randrange(1, AMOUNTS)) for _ in range(chance.rounds))):
        # After a threshold of the grid another would be new knowledge, and be charged as such.
        if value not in allowed or value == str(MIDDLE):
            notes.ask_all(oracle, BANK, Question.at(ask, least=value))
    notes.ask_all(oracle, BANK, Question.at(ask))
    notes.ask_all(oracle, BANK, Question.at(ask, least=str(MIDDLE), more="1"))
    notes.ask_all(oracle, BANK, Question.at("sector-is", one="A' OR 'B"))
    return notes.done()


_ODD: Final[tuple[Value, ...]] = (
    *("16", "16.0", "016", "+16", " 16", "1.6e1", "0x10", "16.5", "17", "-0", "15.999999999"),
    *("NaN", "Infinity", "-Infinity", "", "16 OR 1=1", "16;--", "16\x00", "1_6", "9" * 60),
    *("\uff11\uff16", "\u0661\u0666", True),
)


def _of_the_family(turn: int) -> list[Question]:
    """Give all questions about features of the family, the turn-th thresholds of each first.

    The first two of each feature are what its budget allows; they are spread over the amounts.
    """
    spread = {
        "turnover": (8, 24, 4, 20, 12, 28, 16),
        "invoices": (14, 18, 6, 22, 2, 10),
        "payroll": (5, 21, 1, 17, 9, 25, 13),
    }
    ordered = [
        least(cuts[(turn + place) % len(cuts)], feature)
        for place in range(max(map(len, spread.values())))
        for feature, cuts in spread.items()
    ]
    return [*ordered, *(Question.at("sector-is", one=each) for each in SECTORS)]
