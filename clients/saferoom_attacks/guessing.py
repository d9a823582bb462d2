"""What is possible by what was heard: how an attack turns answers into a guess."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

from saferoom_attacks.ask import BANK, NONE, Heard, Question, Told, least, typical
from saferoom_attacks.controls import AuditingGate, noisy_yes
from saferoom_attacks.firms import EVERY, MIDDLE, SILENT, UNHEARD, Record
from saferoom_attacks.model import GateModel
from saferoom_proto.answer import Truth
from saferoom_proto.reasons import Reason


def consistent(heard: Heard) -> Sequence[Record]:
    """Give the records that would have told the same: with a flat prior, each is as likely."""
    possible = set(range(len(EVERY)))
    for question, told in heard:
        answers = _would_tell(question)
        agreeing = {n for n in possible if answers is not None and answers[n] == told}
        possible = agreeing or possible  # a refusal agrees with none, and tells nothing
    return [EVERY[n] for n in sorted(possible)]


def cells_between(heard: Heard) -> int:
    """Count the records' classes that these very questions tell apart, whatever the answers."""
    answers = [_would_tell(question) for question, _ in heard]
    return len(set(zip(*(each for each in answers if each is not None), strict=True))) or 1


@cache
def _would_tell(question: Question) -> tuple[Told, ...] | None:
    """Give what an open gate tells of each record; none if it would not take the question."""
    gate = GateModel(typical(), NONE)
    told = tuple(gate.ask("", [(str(n), question)])[0] for n in range(len(EVERY)))
    return told if any(isinstance(each, Truth) for each in told) else None


def by_noise(heard: Heard) -> Sequence[Record]:
    """Give the record under which these answers, with noise, are the likeliest; else as ever."""
    yes = [told is Truth.YES for question, told in heard if question == least(MIDDLE)]
    if all(yes) or not any(yes):
        return consistent(heard)

    def likelihood(record: Record) -> float:
        if record.amount is None:
            return -math.inf
        one = noisy_yes(record.amount, MIDDLE)
        return math.fsum(
            math.log(
                one if (told is Truth.YES) is not question.template.endswith("below") else 1 - one
            )
            for question, told in heard
        )

    return [max(EVERY, key=likelihood)]


def by_pattern(heard: Heard) -> Sequence[Record]:
    """Give the records of which an auditing gate would have refused just the same."""
    sequence = tuple(question for question, _ in heard)
    pattern = tuple(isinstance(told, Truth) for _, told in heard)
    patterns = _audited(sequence)
    return [record for record, one in zip(EVERY, patterns, strict=True) if one == pattern] or EVERY


@cache
def _audited(sequence: tuple[Question, ...]) -> list[tuple[bool, ...]]:
    gate, names = AuditingGate(typical()), list(typical())
    told = [gate.ask(BANK, [(name, question) for name in names]) for question in sequence]
    return [tuple(isinstance(each, Truth) for each in one) for one in zip(*told, strict=True)]


def by_error(heard: Heard) -> Sequence[Record]:
    """Take a firm for unheard of if any answer was of another kind."""
    odd = any(told is Reason.MALFORMED_SUBJECT for _, told in heard)
    return (UNHEARD,) if odd else (SILENT,)
