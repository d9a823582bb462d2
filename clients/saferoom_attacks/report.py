"""The suite's table: for people in a terminal, for programs, and for docs/attacks.md."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from saferoom_attacks.attack import Verdict
from saferoom_attacks.measure import Learned
from saferoom_attacks.suite import Found, Scale
from saferoom_attacks.table_attack import Left, TableFinding
from saferoom_attacks.wager import Gained, Wagered

HEADINGS: Final = (
    "attack",
    "right",
    "prior",
    "bits gained",
    "bits charged",
    "bound",
    "without: right, bits",
    "queries",
    "verdict",
)


NOTHING_CHARGED: Final = "-"
"""Where tables are told nothing is charged: what was told before is protected with it."""


def held(findings: Sequence[Found]) -> bool:
    """Tell whether every bound held, and every attack could succeed."""
    return bool(findings) and all(each.verdict is Verdict.HELD for each in findings)


def row(finding: Found) -> tuple[str, ...]:
    """Write a finding as a line of the table."""
    if isinstance(finding, TableFinding):
        return _table_row(finding)
    if isinstance(finding, Wagered):
        return _wagered_row(finding)
    attack = finding.attack
    return (
        attack.name,
        f"{finding.room.accuracy:.1%}",
        f"{attack.prior:.1%}",
        f"{finding.room.bits:.2f}",
        f"{math.log2(finding.charged):.2f}",
        f"{math.log2(attack.bound):.2f}",
        f"{finding.control.accuracy:.1%}, {finding.control.bits:.2f}",
        f"{finding.queries:,}",
        finding.verdict,
    )


def document(
    findings: Sequence[Found],
    scale: Scale,
    version: str,
    machine: str,
    now: datetime,
) -> dict[str, object]:
    """Write all of it for a program."""
    return {
        "version": version,
        "machine": machine,
        "time": now.isoformat(timespec="seconds"),
        "seed": scale.seed,
        "queries": sum(each.queries for each in findings),
        "held": held(findings),
        "attacks": [_entry(each) for each in findings],
    }


def markdown(
    findings: Sequence[Found],
    scale: Scale,
    version: str,
    machine: str,
    now: datetime,
) -> str:
    """Write the table as docs/attacks.md keeps it."""
    queries, seconds = sum(e.queries for e in findings), sum(e.seconds for e in findings)
    ran = f"{queries:,} queries in {seconds:,.0f} s, seed {scale.seed}"
    lines = [
        f"Saferoom {version}, {now:%Y-%m-%d}, {machine}: {ran}.",
        "",
        "| " + " | ".join(HEADINGS) + " |",
        "|---" * len(HEADINGS) + "|",
        *("| " + " | ".join(row(each)) + " |" for each in findings),
    ]
    return "\n".join(lines)


def _table_row(finding: TableFinding) -> tuple[str, ...]:
    attack, room, control = finding.attack, finding.room, finding.control
    return (
        attack.name,
        f"{finding.accuracy(room):.1%}",
        f"{1 / attack.prior:.1%}",
        f"{finding.bits(room):.2f}",
        NOTHING_CHARGED,
        f"{finding.bound:.2f}",
        f"{finding.accuracy(control):.1%}, {finding.bits(control):.2f}",
        f"{finding.queries:,}",
        finding.verdict,
    )


def _wagered_row(finding: Wagered) -> tuple[str, ...]:
    attack, room, control, charged = finding.attack, finding.room, finding.control, finding.charged
    return (
        attack.name,
        f"{room.accuracy:.1%}",
        f"{attack.prior:.1%}",
        f"{room.bits:.2f}",
        NOTHING_CHARGED if charged is None else f"{charged:.2f}",
        f"{attack.bits:.2f}",
        f"{control.accuracy:.1%}, {control.bits:.2f}",
        f"{finding.queries:,}",
        finding.verdict,
    )


def _entry(finding: Found) -> dict[str, object]:
    if isinstance(finding, TableFinding):
        return _table_entry(finding)
    if isinstance(finding, Wagered):
        return _wagered_entry(finding)
    attack = finding.attack
    return {
        "name": attack.name,
        "verdict": finding.verdict,
        "title": {"en": attack.title.en, "zh": attack.title.zh},
        "prior": attack.prior,
        "bound": {
            "cells": attack.bound,
            "bits": math.log2(attack.bound),
            "accuracy": attack.allowed,
            "why": attack.why.en,
        },
        "charged_bits": math.log2(finding.charged),
        "room": _learned(finding.room),
        "control": {**_learned(finding.control), "lacks": attack.lacks.en},
        "told": dict(sorted(finding.told.items())),
        "queries": finding.queries,
        "hung_up": finding.cut,
        "seconds": round(finding.seconds, 3),
    }


def _learned(one: Learned) -> dict[str, object]:
    return {
        "targets": one.targets,
        "accuracy": one.accuracy,
        "cells": one.cells,
        "bits": one.bits,
        "mutual_bits": one.mutual_bits,
    }


def _table_entry(finding: TableFinding) -> dict[str, object]:
    attack = finding.attack
    return {
        "name": attack.name,
        "verdict": finding.verdict,
        "title": {"en": attack.title.en, "zh": attack.title.zh},
        "prior": 1 / attack.prior,
        "bound": {
            "values": attack.least,
            "bits": finding.bound,
            "accuracy": attack.allowed,
            "why": attack.why.en,
        },
        "room": _left(finding, finding.room),
        "control": {**_left(finding, finding.control), "lacks": attack.lacks.en},
        "queries": finding.queries,
        "seconds": round(finding.seconds, 3),
    }


def _left(finding: TableFinding, left: Sequence[Left]) -> dict[str, object]:
    return {
        "targets": len(left),
        "accuracy": finding.accuracy(left),
        "values": min(each.values for each in left),
        "bits": finding.bits(left),
    }


def _wagered_entry(finding: Wagered) -> dict[str, object]:
    attack = finding.attack
    return {
        "name": attack.name,
        "verdict": finding.verdict,
        "title": {"en": attack.title.en, "zh": attack.title.zh},
        "prior": attack.prior,
        "bound": {"bits": attack.bits, "accuracy": attack.allowed, "why": attack.why.en},
        "charged_bits": finding.charged,
        "room": _gained(finding.room),
        "control": {**_gained(finding.control), "lacks": attack.lacks.en},
        "queries": finding.queries,
        "seconds": round(finding.seconds, 3),
    }


def _gained(one: Gained) -> dict[str, object]:
    return {"targets": one.targets, "accuracy": one.accuracy, "bits": one.bits}
