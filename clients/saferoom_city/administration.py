"""Administrative management (11.1 to 11.7): licences, penalties and what else offices decided."""

from __future__ import annotations

from typing import Final

from saferoom_city.days import Days
from saferoom_city.draws import Draws, likely
from saferoom_city.firm import Firm, Stream
from saferoom_city.pieces import NONE, Rows, past, yuan
from saferoom_city.words import CITY
from saferoom_proto.uscc import make_uscc

_OFFICES: Final = ("市场监督管理局", "应急管理局", "生态环境局", "城市管理局", "交通运输局")
_VIOLATIONS: Final = (
    ("虚假宣传", "对商品作引人误解的宣传"),
    ("安全生产违法", "未按规定开展安全培训"),
    ("超标排放", "废水污染物超标"),
    ("占道经营", "占用人行道堆放物品"),
    ("无证经营", "未取得许可从事经营"),
)
_CARD: Final = "身份证"
_ABOUT: Final = "法人及非法人组织"


def administrative(firm: Firm, days: Days, rows: Rows) -> None:
    """Make a firm's rows: of most there are few."""
    draws = firm.draws(Stream.ADMINISTRATIVE)
    seen = firm.seen(draws)
    office = draws.between(0, len(_OFFICES) - 1)
    agency = f"{CITY}{firm.district.zh}{_OFFICES[office]}"
    by = (agency, make_uscc(office, firm.district.code, "11"), agency)
    for _ in range(draws.count(0.9)):
        _licence(firm, days, rows, draws, by)
    for _ in range(draws.count(likely(0.2, seen, 1.0))):
        _penalty(firm, days, rows, draws, by)
    for _ in range(draws.count(0.5)):
        found = draws.chance(likely(0.2, seen, 0.8))
        rows.add(
            "adm_inspection",
            *_head(firm),
            draws.pick(("双随机检查", "日常检查", "专项检查")),
            draws.pick(("登记事项检查", "安全生产检查", "产品质量检查", "环境保护检查")),
            "发现问题责令改正" if found else "未发现问题",
            days.ago(past(draws, firm, 365 * 2)),
            *by,
        )
    _rare(firm, days, rows, draws, by=by, seen=seen)


def _head(firm: Firm) -> tuple[str, ...]:
    return (firm.name.full, firm.code, firm.head, _CARD, firm.head_id)


def _licence(firm: Firm, days: Days, rows: Rows, draws: Draws, by: tuple[str, str, str]) -> None:
    ago = past(draws, firm, 365 * 4)
    valid = 365 * draws.pick((3, 5))
    rows.add(
        "adm_licence",
        firm.name.full,
        firm.code,
        _ABOUT,
        *_head(firm)[2:],
        "准予行政许可决定书",
        f"鹭许准字({days.ago(ago)[:4]})第{draws.digits(5)}号",
        draws.pick(("普通", "普通", "核准", "登记")),
        draws.pick(("食品经营许可证", "排污许可证", "道路运输经营许可证", "安全生产许可证")),
        f"XK99{draws.digits(9)}",
        firm.trade.scope.partition(";")[0],
        days.ago(ago),
        days.later(ago, valid),
        "有效" if valid > ago else "过期",
        *by,
    )


def _penalty(firm: Firm, days: Days, rows: Rows, draws: Draws, by: tuple[str, str, str]) -> None:
    ago = past(draws, firm, 365 * 3)
    kind, fact = draws.pick(_VIOLATIONS)
    fine = draws.pick((200, 500, 1000, 3000, 5000, 10_000, 20_000, 50_000, 100_000))
    revoked = draws.chance(0.03)
    rows.add(
        "adm_penalty",
        firm.name.full,
        firm.code,
        _ABOUT,
        *_head(firm)[2:],
        "行政处罚决定书",
        f"鹭罚字({days.ago(ago)[:4]})第{draws.digits(5)}号",
        kind,
        fact,
        "有关法律法规的罚则",
        f"罚款{fine}元",
        yuan(fine * 100),
        yuan(fine * 30 if draws.chance(0.1) else 0),
        "营业执照" if revoked else NONE,
        firm.code if revoked else NONE,
        days.ago(ago),
        days.later(ago, 365 * 3),
        days.later(ago, 365),
        *by,
    )


def _rare(
    firm: Firm,
    days: Days,
    rows: Rows,
    draws: Draws,
    *,
    by: tuple[str, str, str],
    seen: float,
) -> None:
    if draws.chance(likely(0.01, seen, 1.0)):
        ago = past(draws, firm, 365 * 3)
        rows.add(
            "adm_coercion",
            *_head(firm),
            "查封扣押决定书",
            f"鹭强字({days.ago(ago)[:4]})第{draws.digits(4)}号",
            "涉嫌违法经营",
            "中华人民共和国行政强制法",
            draws.pick(("查封场所", "扣押财物", "加处罚款")),
            days.ago(ago),
            *by,
        )
    if draws.chance(likely(0.06, seen, -0.7)):
        rows.add(
            "adm_reward",
            *_head(firm),
            draws.pick(("纳税先进企业", "安全生产先进单位", "守合同重信用企业")),
            "通报表扬",
            days.ago(past(draws, firm, 365 * 4)),
            *by,
        )
    if draws.chance(0.06):
        rows.add(
            "adm_confirmation",
            *_head(firm),
            draws.pick(("消防验收备案", "工程竣工验收备案", "资产评估备案")),
            "予以确认",
            days.ago(past(draws, firm, 365 * 4)),
            *by,
        )
    if draws.chance(likely(0.005, seen, 0.5)):
        rows.add(
            "adm_adjudication",
            *_head(firm)[:4],
            "责令停止侵权",
            draws.pick(("商标侵权纠纷", "土地权属争议", "专利侵权纠纷")),
            "有关法律规定",
            *by,
        )
