"""Tax information (3.1 to 3.5), but for invoices: grades, arrears, what was due and when it came.

A firm's sales of the last 18 months are drawn once; what is due in each quarter, the year's sums,
the arrears and the invoices follow from them.
"""

from __future__ import annotations

from typing import Final

from saferoom_city.course import monthly
from saferoom_city.days import Days
from saferoom_city.draws import Draws, likely
from saferoom_city.firm import Firm, Kind, Stream
from saferoom_city.invoices import invoices
from saferoom_city.pieces import NONE, Rows, truth, yuan
from saferoom_city.words import CITY

VAT: Final = "增值税"
INCOME: Final = "企业所得税"
_GRADES: Final = ((90, "A"), (70, "B"), (40, "C"), (-999, "D"))
"""Points from which each grade is given (STA 2014 No. 40, article 18)."""
_YOUNG_YEARS: Final = 1
_LATE_FEE: Final = 2000
"""One part of so many a day (Tax Collection Law, article 32)."""
_TERM_DAYS: Final = 15
"""Days after a quarter in which it is to be paid."""


def tax(firm: Firm, days: Days, rows: Rows) -> None:
    """Make a firm's rows."""
    draws = firm.draws(Stream.TAX)
    seen = firm.seen(draws)
    abnormal = draws.chance(likely(0.012, seen, 1.0))
    _grades(firm, days, rows, draws, seen=seen, abnormal=abnormal)
    rows.add("tax_abnormal_taxpayer", firm.name.full, firm.code, truth(abnormal))
    sales = monthly(firm, days, draws, seen, firm.turnover * 100 // 12)
    owed = _payable(firm, days, rows, draws, seen=seen, sales=sales)
    _arrears(firm, rows, owed)
    _profile(firm, days, rows, draws, abnormal)
    _sheets(firm, days, rows, draws, seen)
    if draws.chance(likely(0.015, seen, 0.7)):
        _audit(firm, days, rows, draws)
    invoices(firm, days, rows, sales, seen)


def _grades(
    firm: Firm, days: Days, rows: Rows, draws: Draws, *, seen: float, abnormal: bool
) -> None:
    if firm.kind is Kind.SOLE_TRADER:
        return  # they are not graded
    points = 82 - 10 * seen
    for year in days.years:
        born = days.as_of.year - firm.age // 365
        if born > year:
            continue
        of_year = points + 8 * draws.normal()
        grade = next(name for least, name in _GRADES if of_year >= least)
        young = year - born < _YOUNG_YEARS
        if young and grade in "AB":
            grade = "M"
        if abnormal and year == days.years[-1]:
            grade = "D"  # article 20: without points
        rows.add("tax_credit_grade", firm.name.full, firm.code, str(year), grade)


def _payable(
    firm: Firm, days: Days, rows: Rows, draws: Draws, *, seen: float, sales: list[int]
) -> dict[str, int]:
    """Tell each quarter's taxes, and their sums; give what is owed by now, by the kind of tax."""
    owed: dict[str, int] = {}
    sums = {VAT: [0, 0], INCOME: [0, 0]}
    normal, whole = 0, True
    last_paid: int | None = None
    for quarter, start in enumerate(days.quarters):
        of = sum(sales[start : start + 3])
        ended = days.starts[start + 3]
        if ended >= firm.age:
            continue
        unpaid = draws.chance(likely(0.013, seen, 1.1))
        delay = draws.between(0, 13) if not unpaid else 0
        if not unpaid and draws.chance(likely(0.08, seen, 0.6)):
            delay = _TERM_DAYS + draws.between(2, 70)
        paid_ago = ended - delay
        unpaid = unpaid or paid_ago < 0
        owes = unpaid and ended > _TERM_DAYS
        if owes or delay > _TERM_DAYS:
            normal, whole = 0, False
        else:
            normal += 3
        last_paid = last_paid if unpaid else paid_ago
        for kind, share in ((VAT, 26), (INCOME, 9)):
            due = of * share // 1000
            paid = 0 if unpaid else due
            late = max(0, delay - _TERM_DAYS)
            if owes:
                owed[kind] = owed.get(kind, 0) + due
            if quarter:
                sums[kind][0] += due
                sums[kind][1] += paid
            rows.add(
                "tax_record_tax_payable",
                firm.code,
                kind,
                days.ago(days.starts[start]),
                days.ago(ended + 1),
                yuan(due),
                yuan(paid),
                days.later(ended, _TERM_DAYS),
                NONE if unpaid else days.ago(paid_ago),
                yuan(due * late // _LATE_FEE),
            )
    months = normal + (max(0, min(firm.age // 30 - 15, 45)) if whole else 0)
    rows.add(
        "tax_statistics",
        firm.name.full,
        firm.code,
        *(yuan(each) for each in (*sums[VAT], *sums[INCOME])),
        str(months),
        NONE if last_paid is None else days.ago(last_paid),
    )
    return owed


def _arrears(firm: Firm, rows: Rows, owed: dict[str, int]) -> None:
    for kind, amount in owed.items():
        rows.add("tax_arrears", firm.name.full, firm.code, truth(True), yuan(amount), kind)
    if not owed:
        rows.add("tax_arrears", firm.name.full, firm.code, truth(False), yuan(0), NONE)


def _profile(firm: Firm, days: Days, rows: Rows, draws: Draws, abnormal: bool) -> None:
    rows.add(
        "tax_record_taxpayer_profile",
        firm.code,
        firm.code,
        "一般纳税人" if firm.turnover > 5_000_000 else "小规模纳税人",  # noqa: PLR2004 - Cai Shui 2018 No. 33
        days.ago(firm.age - draws.between(5, 60)),
        f"国家税务总局{CITY}{firm.district.zh}税务局",
        "非正常" if abnormal else "正常",
        firm.trade.code,
    )


def _sheets(firm: Firm, days: Days, rows: Rows, draws: Draws, seen: float) -> None:
    for year in days.years[-2:]:
        if firm.age < (days.as_of.year - year) * 365:
            continue
        share = min(1400, max(60, int(500 + 140 * seen + 130 * draws.normal())))
        assets = int(firm.turnover * 70 * draws.spread(0.45))
        debts = assets * share // 1000
        current = assets * draws.between(350, 700) // 1000
        rows.add(
            "tax_record_balance_sheet",
            firm.code,
            f"{year}-12",
            yuan(current),
            yuan((assets - current) * 7 // 10),
            yuan(assets),
            yuan(debts * 7 // 10),
            yuan(debts),
            yuan(assets - debts),
        )
        earned = int(firm.turnover * 100 * (0.06 - 0.045 * seen + 0.05 * draws.normal()))
        spent, lent = (
            -assets * draws.between(0, 80) // 1000,
            assets * draws.between(-60, 80) // 1000,
        )
        rows.add(
            "tax_record_cash_flow_statement",
            firm.code,
            f"{year}-12",
            yuan(earned),
            yuan(spent),
            yuan(lent),
            yuan(max(0, assets // 12 + earned + spent + lent)),
        )


def _audit(firm: Firm, days: Days, rows: Rows, draws: Draws) -> None:
    begun = draws.between(90, 900)
    recovered = int(firm.turnover * draws.between(0, 4))
    rows.add(
        "tax_record_tax_audit",
        firm.code,
        f"鹭税稽{days.ago(begun)[:4]}{draws.digits(4)}",
        days.ago(begun),
        days.ago(begun // 2),
        draws.pick(("少列收入", "虚列成本", "未按规定开具发票", "未发现问题")),
        yuan(recovered),
        yuan(recovered // 2),
    )
