"""Public-resource transactions (15.1): who invited tenders, who won, who sold to offices."""

from __future__ import annotations

from typing import Final

from saferoom_city.days import Days
from saferoom_city.draws import Draws, likely
from saferoom_city.firm import Firm, Stream
from saferoom_city.pieces import Rows, past, yuan
from saferoom_city.words import CITY
from saferoom_proto.uscc import make_uscc

_BUILDERS: Final = "E"
_MINES: Final = "B"
_PROJECTS: Final = ("道路改造工程", "学校维修工程", "厂房扩建项目", "管网更新工程", "绿化提升项目")
_OFFICES: Final = ("教育局", "卫生健康委员会", "公安局", "住房和城乡建设局", "文化广电和旅游局")


def public_resource(firm: Firm, days: Days, rows: Rows) -> None:
    """Make a firm's rows: of those that never bid there is none."""
    draws = firm.draws(Stream.PUBLIC_RESOURCE)
    seen = firm.seen(draws)
    trade = firm.trade.code[0]
    if firm.is_company and draws.chance(0.015):
        _tender(firm, days, rows, draws)
    for _ in range(draws.count(likely(1.5 if trade == _BUILDERS else 0.04, seen, -0.7))):
        ago, code = past(draws, firm, 365 * 3), _code(draws, "E")
        rows.add(
            "public_resource_bid_result",
            code,
            f"{firm.district.zh}{draws.pick(_PROJECTS)}",
            firm.name.full,
            firm.code,
            yuan(_price(firm, draws)),
            days.ago(ago),
        )
    for _ in range(draws.count(likely(0.5 if trade in "FIL" else 0.08, seen, -0.6))):
        rows.add(
            "public_resource_procurement_result",
            _code(draws, "P"),
            f"{CITY}{draws.pick(_OFFICES)}",
            firm.name.full,
            firm.code,
            yuan(_price(firm, draws) // 4),
            days.ago(past(draws, firm, 365 * 3)),
        )
    if trade == _MINES and draws.chance(0.3):
        rows.add(
            "public_resource_mining_right_result",
            f"{firm.district.zh}{firm.short}矿",
            draws.pick(("探矿权", "采矿权")),
            draws.pick(("招标", "拍卖", "挂牌")),
            firm.name.full,
            firm.code,
            yuan(firm.turnover * draws.between(20, 200)),
            days.ago(past(draws, firm, 365 * 5)),
        )


def _tender(firm: Firm, days: Days, rows: Rows, draws: Draws) -> None:
    rows.add(
        "public_resource_tender_notice",
        _code(draws, "E"),
        f"{firm.short}{draws.pick(_PROJECTS)}",
        firm.name.full,
        firm.code,
        days.ago(past(draws, firm, 365 * 3)),
        yuan(_price(firm, draws) * 2),
        firm.district.code,
    )


def _code(draws: Draws, kind: str) -> str:
    """Make up a project's code; its first characters are an office's that is nowhere."""
    return f"{kind}{make_uscc(0, '990100', '11')[2:8]}{draws.digits(10)}"


def _price(firm: Firm, draws: Draws) -> int:
    """Draw a price in fen, in whole hundreds of yuan: up to a fifth of a year's turnover."""
    return max(1, firm.turnover * draws.between(5, 200) // 100_000) * 10_000
