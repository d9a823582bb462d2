"""What some trades only have: environment (6.1), customs (7.1, 7.2), farming (14.1)."""

from __future__ import annotations

from datetime import date
from typing import Final

from saferoom_city.days import Days
from saferoom_city.draws import likely
from saferoom_city.firm import Firm, Kind, Stream, person
from saferoom_city.pieces import Rows, past, truth
from saferoom_city.words import CITY

_COLOURS: Final = ((95, "绿标"), (80, "蓝标"), (60, "黄标"), (-999, "红标"))
_FIRST_GRADES: Final = date(2021, 11, 1)
"""From this day customs has had the grades that the catalogue lists (GACC Order 251)."""
_NEW_GRADES: Final = date(2026, 4, 1)
"""From this day customs has five grades (GACC Order 282)."""
_FARMS: Final = "A"


def environment(firm: Firm, days: Days, rows: Rows) -> None:
    """Make the rows of a firm that discharges something."""
    if not firm.trade.outlets:
        return
    draws = firm.draws(Stream.ENVIRONMENT)
    seen = firm.seen(draws)
    for year in days.years:
        tenths = min(1000, max(200, int(850 - 100 * seen + 40 * draws.normal())))
        if (days.as_of.year - year) * 365 < firm.age:
            colour = next(name for least, name in _COLOURS if tenths >= least * 10)
            day = days.as_of.replace(year=year, month=12, day=1 + draws.between(0, 20))
            rows.add(
                "env_credit_rating",
                *(firm.name.full, firm.code, f"{tenths // 10}.{tenths % 10}", colour),
                day.isoformat(),
            )


def customs(firm: Firm, days: Days, rows: Rows) -> None:
    """Make the rows of a firm that trades abroad."""
    draws = firm.draws(Stream.CUSTOMS)
    seen = firm.seen(draws)
    share = 0.18 if firm.trade.code[0] == "C" else 0.05
    if not (firm.is_company and draws.chance(share)):
        return
    name, code, number = firm.name.full, firm.code, f"{firm.district.code[:4]}9{draws.digits(5)}"
    gone = draws.chance(0.06)
    rows.add("customs_registration", name, code, number, "进出口货物收发货人", truth(gone))
    ruled = (days.as_of - _FIRST_GRADES).days
    graded = draws.between(5, min(1400, ruled, max(6, firm.age - 100)))
    day = days.ago(graded)
    new = day >= _NEW_GRADES.isoformat()
    bad = draws.chance(likely(0.04, seen, 1.0))
    best = draws.chance(likely(0.1, seen, -0.6))
    usual = "常规企业" if new else "其他"
    grade = "失信企业" if bad else "高级认证企业" if best else usual
    rows.add("customs_credit_grade", name, code, number, grade, day)


def agriculture(firm: Firm, days: Days, rows: Rows) -> None:
    """Make the rows of a farm: a co-operative, a family's or a company's."""
    if not firm.trade.code.startswith(_FARMS):
        return
    draws = firm.draws(Stream.AGRICULTURE)
    seen = firm.seen(draws)
    category = {
        Kind.COMPANY: "农业产业化企业",
        Kind.COOPERATIVE: "农民专业合作社",
        Kind.SOLE_TRADER: "家庭农场",
    }[firm.kind]
    place = f"{CITY}{firm.district.zh}"
    rows.add(
        "agri_operator",
        *(firm.code, firm.name.full, category, firm.head, place),
        firm.trade.scope.replace(";", "、"),
    )
    for _ in range(draws.count(likely(1.5, 0, 0))):
        rows.add(
            "agri_operator_land_management_right",
            firm.code,
            firm.name.full,
            f"99农经证{draws.digits(8)}",
            f"{max(2, int(40 * draws.spread(1.0) * (1 - 0.15 * seen)))}.{draws.digits(1)}",
            f"{place}{draws.pick('东西南北中上下')}{draws.pick('河塘坡岗湾')}村",
            days.later(0, draws.between(200, 365 * 25)),
        )
    if draws.chance(0.4):
        rows.add(
            "agri_operator_farmhouse_property_right",
            firm.code,
            person(draws) if draws.chance(0.2) else firm.head,
            f"鹭({days.ago(past(draws, firm, 3000))[:4]})宅基地第9{draws.digits(6)}号",
            f"{draws.between(80, 320)}.{draws.digits(2)}",
            place,
        )
