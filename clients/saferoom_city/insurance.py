"""Social insurance (5.1 to 5.4): for how many a firm pays, what it owes."""

from __future__ import annotations

from typing import Final

from saferoom_city.days import MONTHS, Days
from saferoom_city.draws import Draws, likely
from saferoom_city.firm import Firm, Kind, Stream
from saferoom_city.housing_fund import gaps, heads
from saferoom_city.pieces import FALSE, NONE, TRUE, Rows, truth, yuan
from saferoom_city.words import CITY

_KINDS: Final = (("养老", 160), ("失业", 7), ("工伤", 4), ("生育", 6))
"""The insurances, and what an employer pays of the base, in thousandths."""
_MEDICAL: Final = 80
_MONTHS: Final = 12
_LONG: Final = 3
_VERY_LONG: Final = 6


def social_insurance(firm: Firm, days: Days, rows: Rows) -> None:
    """Make the rows of a firm that has people insured: most companies, few sole traders."""
    draws = firm.draws(Stream.SOCIAL_INSURANCE)
    if not draws.chance({Kind.COMPANY: 0.8, Kind.SOLE_TRADER: 0.25}.get(firm.kind, 0.4)):
        return
    seen = firm.seen(draws)
    counts = heads(firm, draws, seen, 0.85)
    gap = gaps(draws, seen)
    base = draws.between(3600, 6200) * 100
    agency = f"{CITY}{firm.district.zh}社会保险中心"
    joined = days.ago(max(1, firm.age - draws.between(20, 200)))
    state = "正常参保" if not _stopped(gap) else "欠费"
    number = f"99{draws.digits(8)}"
    rows.add("si_contribution_si_registration", firm.code, number, joined, state, agency)
    rows.add(
        "mi_contribution_mi_registration",
        firm.code,
        f"M{number}",
        joined,
        state,
        f"{CITY}{firm.district.zh}医疗保障局",
    )
    _months(firm, days, rows, draws, counts=counts, gap=gap, base=base)
    _arrears(firm, days, rows, draws, whole=counts[-1] * base, gap=gap, seen=seen)


def _stopped(gap: tuple[int, int]) -> bool:
    first, months = gap
    return bool(months) and first + months == MONTHS


def _months(
    firm: Firm,
    days: Days,
    rows: Rows,
    draws: Draws,
    *,
    counts: list[int],
    gap: tuple[int, int],
    base: int,
) -> None:
    code, unit = firm.code, draws.unit
    enrolled = rows.lines["si_contribution_si_enrolment"].append
    paid_in = rows.lines["si_contribution_si_payment"].append
    insured = rows.lines["mi_contribution_mi_enrolment"].append
    paid_medical = rows.lines["mi_contribution_mi_payment"].append
    first, months = gap
    for at in range(MONTHS - _MONTHS, MONTHS):
        if days.starts[at] >= firm.age - 30:
            continue
        month, count = days.months[at], counts[at]
        whole = count * base
        paid_ago = days.starts[at] - 8 - int(unit() * 16)
        unpaid = first <= at < first + months or paid_ago < 0
        day = NONE if unpaid else days.ago(paid_ago)
        counted = f"{count},{yuan(whole)}"
        for kind, share in _KINDS:
            due = yuan(whole * share // 1000)
            enrolled(f"{code},{kind},{month},{counted}")
            paid_in(f"{code},{kind},{month},{due},{'0.00' if unpaid else due},{day}")
        due = yuan(whole * _MEDICAL // 1000)
        insured(f"{code},{month},{counted}")
        paid_medical(f"{code},{month},{due},{'0.00' if unpaid else due},{day}")


def _arrears(
    firm: Firm,
    days: Days,
    rows: Rows,
    draws: Draws,
    *,
    whole: int,
    gap: tuple[int, int],
    seen: float,
) -> None:
    first, months = gap
    name, code = firm.name.full, firm.code
    if months:
        owing = _stopped(gap)
        last = first + months
        total = whole * 177 // 1000 * months
        grave = "严重" if months >= _VERY_LONG else "较重" if months >= _LONG else "一般"
        rows.add(
            "si_arrears",
            name,
            code,
            truth(owing),
            days.ago(days.starts[first]),
            days.ago(days.starts[last] + 1 if last < MONTHS else 0),
            yuan(total),
            truth(not owing),
            grave,
        )
    else:
        rows.add("si_arrears", name, code, FALSE, NONE, NONE, "0.00", FALSE, NONE)
    medical = _stopped(gap) or draws.chance(likely(0.01, seen, 0.8))
    rows.add("mi_arrears", name, code, TRUE if medical else FALSE)
