"""The suite's table: for people in a terminal, for programs, and for docs/attacks.md."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from saferoom_attacks.attack import Finding, Verdict
from saferoom_attacks.measure import Learned
from saferoom_attacks.suite import Scale

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


def held(findings: Sequence[Finding]) -> bool:
    """Tell whether every bound held, and every attack could succeed."""
    return bool(findings) and all(each.verdict is Verdict.HELD for each in findings)


def row(finding: Finding) -> tuple[str, ...]:
    """Write a finding as a line of the table."""
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
    findings: Sequence[Finding], scale: Scale, version: str, machine: str, now: datetime
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
    findings: Sequence[Finding], scale: Scale, version: str, machine: str, now: datetime
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


def _entry(finding: Finding) -> dict[str, object]:
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
