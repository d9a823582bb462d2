"""Trademarks and patents (8.1, 8.2), software (9.1), and research (13.1)."""

from __future__ import annotations

from typing import Final

from saferoom_city.days import Days
from saferoom_city.draws import Draws, likely
from saferoom_city.firm import Firm, Stream, person
from saferoom_city.pieces import Rows, past, truth, yuan
from saferoom_city.words import CITY

_PATENTS: Final = (("发明", "1"), ("实用新型", "2"), ("实用新型", "2"), ("外观设计", "3"))
_PATENT_WEIGHTS: Final = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)
"""ZC 0006-2003: the check follows the twelve digits, modulo 11, with X for ten."""
_TERM_YEARS: Final = 10
"""A trademark's protection (Trademark Law, article 39)."""
_SUPPORTS: Final = ("实验室建设", "政府资金支持", "参与标准制定", "人才认证")


def trademarks_and_patents(firm: Firm, days: Days, rows: Rows) -> None:
    """Make a firm's rows of trademarks and patents."""
    draws = firm.draws(Stream.TRADEMARK_PATENT)
    seen = firm.seen(draws)
    if draws.chance(likely(0.1, seen, -0.3)):
        for _ in range(draws.pick((1, 1, 2, 3))):
            _trademark(firm, days, rows, draws)
    if draws.chance(likely(0.35 if firm.trade.high else 0.04, seen, -0.3)):
        for _ in range(draws.pick((1, 2, 2, 4, 7))):
            _patent(firm, days, rows, draws)


def _trademark(firm: Firm, days: Days, rows: Rows, draws: Draws) -> None:
    asked = past(draws, firm, 365 * 9)
    begun = max(0, asked - 270)
    rows.add(
        "ip_trademark",
        firm.name.full,
        firm.code,
        firm.short,
        f"99{draws.digits(6)}",
        firm.name.full,
        days.ago(asked),
        f"{draws.between(1, 45)}类",
        days.ago(begun),
        days.later(begun, 365 * _TERM_YEARS),
    )


def _patent(firm: Firm, days: Days, rows: Rows, draws: Draws) -> None:
    asked = past(draws, firm, 365 * 7)
    kind, digit = draws.pick(_PATENTS)
    body = f"{days.ago(asked)[:4]}{digit}99{draws.digits(5)}"
    rest = sum(int(one) * weight for one, weight in zip(body, _PATENT_WEIGHTS, strict=True)) % 11
    thing = draws.pick(("装置", "工艺方法", "检测系统", "连接结构", "控制器"))
    rows.add(
        "ip_patent",
        firm.name.full,
        firm.code,
        f"一种{firm.trade.word}用{thing}",
        kind,
        f"ZL{body}.{'0123456789X'[rest]}",
        firm.name.full,
        firm.address,
        days.ago(asked),
        person(draws),
        f"CN99{draws.digits(7)}{'BUS'[int(digit) - 1]}",
        days.ago(max(0, asked - draws.between(150, 540))),
        draws.pick(("有权", "有权", "有权", "审中", "失效")),
    )


def software_copyrights(firm: Firm, days: Days, rows: Rows) -> None:
    """Make a firm's rows of software."""
    draws = firm.draws(Stream.SOFTWARE_COPYRIGHT)
    seen = firm.seen(draws)
    likelihood = 0.7 if firm.trade.word == "软件" else 0.2 if firm.trade.high else 0.01
    if not draws.chance(likely(likelihood, seen, -0.3)):
        return
    for _ in range(draws.pick((1, 1, 2, 3, 5))):
        shown = past(draws, firm, 365 * 6)
        registered = max(0, shown - draws.between(20, 120))
        purpose = draws.pick(("生产管理", "库存管理", "数据采集", "客户服务"))
        rows.add(
            "ip_software_copyright",
            firm.name.full,
            firm.code,
            firm.name.full,
            f"{firm.short}{purpose}系统",
            days.ago(shown),
            f"V{draws.between(1, 5)}.{draws.between(0, 3)}",
            draws.pick(("应用软件", "应用软件", "系统软件", "支持软件")),
            draws.pick(("制造业", "信息技术服务", "批发零售", "交通运输")),
            f"{days.ago(registered)[:4]}SR99{draws.digits(5)}",
            days.ago(registered),
        )


def science(firm: Firm, days: Days, rows: Rows) -> None:
    """Make the rows of a firm that does research, or was supported for it."""
    draws = firm.draws(Stream.SCIENCE_RD)
    seen = firm.seen(draws)
    if not draws.chance(likely(0.45 if firm.trade.high else 0.02, seen, -0.25)):
        return
    high = firm.is_company and draws.chance(0.5 if firm.trade.high else 0.15)
    rows.add("sci_rd", firm.name.full, firm.code, truth(high))
    for _ in range(draws.count(1.2)):
        kind = draws.pick(_SUPPORTS)
        rows.add(
            "sci_rd_research_support",
            firm.code,
            kind,
            f"{firm.trade.word}{draws.pick(('技术改造', '新产品研发', '示范工程'))}",
            draws.pick(("国家级", "省级", "市级", "市级")),
            yuan(draws.between(2, 80) * 1_000_000),
            days.ago(past(draws, firm, 365 * 4)),
            f"{CITY}科学技术局",
        )
