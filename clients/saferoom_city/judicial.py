"""Judicial information (2.1 to 2.5): judgments, enforcement, dishonest debtors, bankruptcy."""

from __future__ import annotations

from typing import Final

from saferoom_city.days import Days
from saferoom_city.draws import Draws, likely
from saferoom_city.firm import MOST_FIRMS, Firm, Stream, name_of, person
from saferoom_city.pieces import NONE, Rows, case_number, past, yuan
from saferoom_city.words import BANKS, CITY

_CAUSES: Final = (
    "买卖合同纠纷",
    "买卖合同纠纷",
    "金融借款合同纠纷",
    "劳动争议",
    "建设工程施工合同纠纷",
    "房屋租赁合同纠纷",
)
_RESULTS: Final = (
    "被告于判决生效之日起十日内支付原告货款及利息",
    "驳回原告的诉讼请求",
    "双方自愿达成调解协议",
)
_CONDUCT: Final = (
    "有履行能力而拒不履行生效法律文书确定义务",
    "违反财产报告制度",
    "以虚假诉讼规避执行",
)


def judicial(firm: Firm, days: Days, rows: Rows) -> None:
    """Make a firm's rows: of one without cases there is none, and its silence means no."""
    draws = firm.draws(Stream.JUDICIAL)
    seen = firm.seen(draws)
    court = f"{firm.district.zh}人民法院"
    for _ in range(draws.count(likely(0.4, seen, 1.0))):
        _judgment(firm, days, rows, draws, court)
    if draws.chance(likely(0.04, seen, 1.3)):
        _enforcement(firm, days, rows, draws, court)
    if draws.chance(likely(0.003, seen, 1.2)):
        _bankruptcy(firm, days, rows, draws)


def _judgment(firm: Firm, days: Days, rows: Rows, draws: Draws, court: str) -> None:
    ago = past(draws, firm, 365 * 4)
    cause = draws.pick(_CAUSES)
    sued = draws.chance(0.7)
    other = name_of(firm.seed, draws.between(0, min(MOST_FIRMS, 4096) - 1))
    by_person = sued and cause == "劳动争议"
    by_bank = sued and cause == "金融借款合同纠纷"
    other_name = person(draws) if by_person else draws.pick(BANKS) if by_bank else other.full
    other_code = NONE if by_person or by_bank else other.code
    parties = ((other_name, other_code), (firm.name.full, firm.code))
    plaintiff, defendant = parties if sued else parties[::-1]
    rows.add(
        "court_judgment",
        firm.name.full,
        firm.code,
        cause,
        case_number(draws, days, ago, firm, "民初"),
        plaintiff[0],
        NONE,
        plaintiff[1],
        defendant[0],
        NONE,
        defendant[1],
        draws.pick(_RESULTS),
        court,
        CITY,
        days.ago(ago),
    )


def _enforcement(firm: Firm, days: Days, rows: Rows, draws: Draws, court: str) -> None:
    for _ in range(draws.pick((1, 1, 1, 2, 3))):
        filed = past(draws, firm, 365 * 3)
        number = case_number(draws, days, filed, firm, "执")
        due = int(firm.turnover * draws.between(1, 40))
        case = (number, firm.name.full, firm.head_id, firm.code, court, days.ago(filed))
        rows.add("court_enforcement", *case, yuan(due))
        if draws.chance(0.35):
            rows.add("court_enforcement_terminated", *case, days.ago(filed // 2))
        if draws.chance(0.25):
            rows.add(
                "court_dishonest_executee",
                number,
                firm.name.full,
                firm.head,
                firm.head_id,
                firm.code,
                draws.pick(("全部未履行", "全部未履行", "部分未履行")),
                draws.pick(_CONDUCT),
                court,
                CITY,
                days.ago(filed),
                days.ago(filed * 2 // 3),
            )


def _bankruptcy(firm: Firm, days: Days, rows: Rows, draws: Draws) -> None:
    ago, closed = past(draws, firm, 600), draws.chance(0.2)
    rows.add(
        "court_bankruptcy",
        firm.name.full,
        firm.code,
        case_number(draws, days, ago, firm, "破"),
        draws.pick(("破产清算", "破产清算", "破产重整")),
        days.ago(ago),
        f"{CITY}中级人民法院",
        f"{CITY}{draws.pick('正明衡信')}{draws.pick('达诚理和')}律师事务所",
        "终结破产程序" if closed else NONE,
        days.ago(ago // 3) if closed else NONE,
    )
