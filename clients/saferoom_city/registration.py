"""Market entity registration (1.1 to 1.10): who a firm is, its changes, reports and marks."""

from __future__ import annotations

from typing import Final

from saferoom_city.days import Days
from saferoom_city.draws import Draws, likely
from saferoom_city.firm import Firm, Kind, Stream, person
from saferoom_city.pieces import FALSE, NONE, TRUE, Rows, past, ratio, truth, yuan
from saferoom_city.words import BANKS, CITY, DISTRICTS
from saferoom_proto.uscc import make_uscc

_FORMS: Final = {
    Kind.COMPANY: ("有限责任公司(自然人投资或控股)", "有限责任公司(自然人独资)"),
    Kind.SOLE_TRADER: ("个体工商户", "个体工商户"),
    Kind.COOPERATIVE: ("农民专业合作社", "农民专业合作社"),
}
_CHANGES: Final = ("住所变更", "法定代表人变更", "注册资本变更", "经营范围变更", "投资人变更")
_ABNORMAL: Final = ("未按规定公示年度报告", "通过登记的住所无法联系", "公示信息隐瞒真实情况")
_BRANCH_SERIES: Final = 50_000_000
_LICENCE_YEARS: Final = 30


def registration(firm: Firm, days: Days, rows: Rows) -> None:
    """Make a firm's rows."""
    draws = firm.draws(Stream.REGISTRATION)
    seen = firm.seen(draws)
    authority = f"{CITY}{firm.district.zh}市场监督管理局"
    _licence(firm, days, rows, draws, seen=seen, authority=authority)
    _shareholders(firm, rows, draws)
    for _ in range(draws.count(likely(0.7, seen, 0.25))):
        _change(firm, days, rows, draws)
    if firm.is_company and draws.chance(0.05):
        _branch(firm, days, rows, draws, authority)
    if firm.is_company and draws.chance(likely(0.03, seen, 0.6)):
        _pledge(firm, days, rows, draws)
    _reports(firm, days, rows, draws, seen)
    _marks(firm, days, rows, draws, seen)


def _licence(
    firm: Firm, days: Days, rows: Rows, draws: Draws, *, seen: float, authority: str
) -> None:
    revoked = draws.chance(likely(0.004, seen, 0.9))
    founded = days.ago(firm.age)
    rows.add(
        "reg_business_licence",
        firm.name.full,
        firm.code,
        firm.head,
        founded,
        firm.address,
        "吊销" if revoked else "存续",
        authority,
        firm.trade.scope,
        draws.pick(_FORMS[firm.kind]),
        yuan(firm.capital * 1_000_000),
        founded,
        days.later(firm.age, 365 * _LICENCE_YEARS) if draws.chance(0.3) else NONE,
    )
    rows.add("reg_industry", firm.name.full, firm.code, firm.trade.code)


def _shareholders(firm: Firm, rows: Rows, draws: Draws) -> None:
    number = draws.pick((1, 2, 2, 3, 4, 6)) if firm.kind is not Kind.SOLE_TRADER else 1
    left = 1000
    for place in range(number):
        last = place == number - 1
        part = left if last else draws.between(left // 4, left * 3 // 4)
        left -= part
        subscribed = firm.capital * part * 1000
        paid = subscribed * draws.pick((10, 10, 6, 3, 0)) // 10
        rows.add(
            "reg_shareholder",
            firm.name.full,
            firm.code,
            firm.head if place == 0 else person(draws),
            "自然人",
            ratio(part),
            yuan(paid),
            draws.pick(("货币", "货币", "货币", "实物", "知识产权")),
            yuan(subscribed),
        )


def _change(firm: Firm, days: Days, rows: Rows, draws: Draws) -> None:
    item = draws.pick(_CHANGES)
    before, after = {
        "住所变更": (f"{CITY}{draws.pick(DISTRICTS).zh}", firm.address),
        "注册资本变更": (f"{max(1, firm.capital // 2)}万元", f"{firm.capital}万元"),
        "经营范围变更": (firm.trade.scope.partition(";")[0], firm.trade.scope),
    }.get(item, (person(draws), firm.head))
    ago = past(draws, firm, 365 * 5)
    rows.add("reg_change", firm.name.full, firm.code, item, before, after, days.ago(ago))


def _branch(firm: Firm, days: Days, rows: Rows, draws: Draws, authority: str) -> None:
    place = draws.pick(DISTRICTS)
    street = draws.pick(place.streets)
    rows.add(
        "reg_branch",
        firm.name.full,
        firm.code,
        f"{firm.name.full}{place.zh}分公司",
        make_uscc(_BRANCH_SERIES + firm.number, place.code[:4] + "00"),
        person(draws),
        days.ago(past(draws, firm, 365 * 6)),
        f"{CITY}{place.zh}{street}{draws.between(1, 300)}号",
        "存续" if draws.chance(0.9) else "注销",
        authority,
    )


def _pledge(firm: Firm, days: Days, rows: Rows, draws: Draws) -> None:
    ago = past(draws, firm, 365 * 4)
    rows.add(
        "reg_equity_pledge",
        firm.name.full,
        firm.code,
        f"{firm.district.code}{draws.digits(8)}",
        firm.head,
        firm.head_id,
        str(max(1, firm.capital * draws.between(1, 9) // 10)),
        draws.pick(BANKS),
        make_uscc(draws.between(0, 999), "990100"),
        days.ago(ago),
        days.ago(ago - draws.between(0, 2)),
        "有效" if draws.chance(0.7) else "注销",
    )


def _reports(firm: Firm, days: Days, rows: Rows, draws: Draws, seen: float) -> None:
    for year in days.years:
        ended = (days.as_of - days.as_of.replace(year=year, month=12, day=31)).days
        if firm.age < ended or draws.chance(likely(0.05, seen, 0.5)):
            continue  # not founded yet, or not handed in
        share = min(1500, max(60, int(480 + 120 * seen + 150 * draws.normal())))
        revenue = int(firm.turnover * 100 * draws.spread(0.15))
        assets = int(revenue * 0.8 * draws.spread(0.4))
        debts = assets * share // 1000
        profit = int(revenue * (0.07 - 0.035 * seen + 0.06 * draws.normal()))
        rows.add(
            "reg_annual_report",
            firm.name.full,
            firm.code,
            str(year),
            yuan(assets),
            yuan(assets - debts),
            yuan(revenue),
            yuan(profit),
            yuan(profit * 4 // 5 if profit > 0 else profit),
            yuan(revenue * 3 // 100),
            yuan(debts),
            truth(draws.chance(likely(0.05, seen, 0.4))),
            str(max(1, int(firm.staff * draws.spread(0.1)))),
        )


def _marks(firm: Firm, days: Days, rows: Rows, draws: Draws, seen: float) -> None:
    name, code = firm.name.full, firm.code
    if draws.chance(likely(0.05, seen, 0.8)):
        listed, ago = draws.chance(0.7), past(draws, firm, 365 * 3)
        rows.add(
            "reg_abnormal_operation",
            name,
            code,
            TRUE if listed else FALSE,
            draws.pick(_ABNORMAL),
            days.ago(ago),
        )
    if draws.chance(likely(0.008, seen, 0.9)):
        ago, out = past(draws, firm, 365 * 4), draws.chance(0.25)
        rows.add(
            "reg_serious_violation",
            name,
            code,
            "被列入经营异常名录届满三年仍未履行义务",
            days.ago(ago),
            f"{CITY}市场监督管理局",
            "列入满三年且未再发生违法情形" if out else NONE,
            days.ago(ago // 3) if out else NONE,
            f"{CITY}市场监督管理局" if out else NONE,
        )
    if draws.chance(0.35):
        rows.add("reg_spot_check", name, code, str(draws.count(likely(0.3, seen, 0.6))))
