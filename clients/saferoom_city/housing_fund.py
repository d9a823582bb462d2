"""Housing provident fund (4.1, 4.2): who pays in for how many, month by month, and who stopped."""

from __future__ import annotations

from typing import Final

from saferoom_city.course import trend_of
from saferoom_city.days import MONTHS, Days
from saferoom_city.draws import Draws, likely
from saferoom_city.firm import Firm, Stream
from saferoom_city.pieces import NONE, Rows, ratio, yuan

_YEAR: Final = 12


def heads(firm: Firm, draws: Draws, seen: float, share: float) -> list[int]:
    """Draw for how many of its staff a firm paid in each of the last 18 months."""
    trend = trend_of(draws, seen)
    now = firm.staff * share
    return [
        max(1, int(now * (1 + trend * (month - MONTHS + 1) / MONTHS) + 0.5))
        for month in range(MONTHS)
    ]


def gaps(draws: Draws, seen: float) -> tuple[int, int]:
    """Draw which months a firm did not pay: from the first of them on, how many; 0 for none."""
    if draws.chance(likely(0.07, seen, 1.4)):  # it stopped, and owes
        months = draws.between(1, 7)
        return MONTHS - months, months
    if draws.chance(likely(0.09, seen, 0.9)):  # it paused, and went on
        return draws.between(2, MONTHS - 4), draws.between(1, 3)
    return 0, 0


def since(gap: tuple[int, int]) -> int:
    """Count the months without a gap up to the newest."""
    first, months = gap
    return MONTHS - first - months if months else MONTHS


def housing_fund(firm: Firm, days: Days, rows: Rows) -> None:
    """Make the rows of a firm that has joined: most larger ones, few small ones."""
    draws = firm.draws(Stream.HOUSING_FUND)
    if not firm.is_company or not draws.chance(min(0.9, 0.35 + firm.staff / 30)):
        return
    seen = firm.seen(draws)
    account = f"99{firm.district.code[2:]}{draws.digits(6)}"
    counts = heads(firm, draws, seen, 0.7)
    first, months = gap = gaps(draws, seen)
    base, percent = draws.between(3200, 6800) * 100, draws.between(5, 12)
    owing = months and first + months == MONTHS
    opened = days.ago(max(1, firm.age - draws.between(60, 400)))
    terms = (percent, counts[-1], base)
    _account(firm, days, rows, draws, number=account, opened=opened, terms=terms, gap=gap)
    total = people = paid = 0
    last_paid: int | None = None
    for at, month in enumerate(days.months):
        if days.starts[at] >= firm.age - 60 or first <= at < first + months:
            continue
        amount = counts[at] * base * percent * 2 // 100
        due = days.starts[at] - draws.between(4, 24)
        if due < 0:
            continue
        last_paid = due
        if at >= MONTHS - _YEAR:
            total += amount
            people += counts[at]
            paid += 1
        rows.add(
            "hf_deposit_hf_payment_record",
            firm.code,
            month,
            str(counts[at]),
            yuan(amount),
            days.ago(due),
        )
    if owing:
        rows.add(
            "hf_deposit_hf_arrears",
            firm.code,
            days.months[first],
            days.months[-1],
            str(counts[-1]),
            yuan(counts[-1] * base * percent * 2 // 100 * months),
        )
    rows.add(
        "hf_statistics",
        firm.name.full,
        firm.code,
        str((people + paid // 2) // paid if paid else 0),
        yuan(total),
        str(min(_YEAR, since(gap), firm.age // 30)),
        NONE if last_paid is None else days.ago(last_paid),
    )


def _account(
    firm: Firm,
    days: Days,
    rows: Rows,
    draws: Draws,
    *,
    number: str,
    opened: str,
    terms: tuple[int, int, int],
    gap: tuple[int, int],
) -> None:
    percent, people, base = terms
    first, months = gap
    rows.add(
        "hf_deposit_hf_basic",
        firm.code,
        number,
        opened,
        ratio(percent * 10),
        ratio(percent * 10),
        str(people),
        yuan(people * base),
    )
    stopped = bool(months) and first + months == MONTHS
    rows.add(
        "hf_deposit_hf_account",
        firm.code,
        number,
        "欠缴" if stopped else "正常",
        days.months[first - 1 if stopped else -1],
        yuan(people * base * percent * draws.between(20, 300) // 100),
    )
