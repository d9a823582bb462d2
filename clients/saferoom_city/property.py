"""Real estate (10.1 to 10.3): what a firm owns, what of it is mortgaged or seized."""

from __future__ import annotations

from typing import Final

from saferoom_city.days import Days
from saferoom_city.draws import Draws, likely
from saferoom_city.firm import Firm, Stream
from saferoom_city.pieces import NONE, Rows, past
from saferoom_city.words import BANKS, CITY
from saferoom_proto.uscc import make_uscc

_USES: Final = ("工业用地/厂房", "商服用地/商业", "商服用地/办公", "仓储用地/仓库")


def real_estate(firm: Firm, days: Days, rows: Rows) -> None:
    """Make the rows of a firm that owns something; of the others there is none."""
    draws = firm.draws(Stream.REAL_ESTATE)
    seen = firm.seen(draws)
    if not draws.chance(likely(min(0.6, 0.1 + firm.staff / 120), seen, -0.5)):
        return
    for _ in range(draws.pick((1, 1, 1, 2, 3))):
        bought = past(draws, firm, 365 * 12)
        of_place, mortgaged = firm.district.zh, days.ago(bought // 2)
        certificate = f"鹭({days.ago(bought)[:4]}){of_place}不动产权第9{draws.digits(6)}号"
        unit = f"{firm.district.code}{draws.digits(6)}GB{draws.digits(5)}F{draws.digits(8)}"
        rows.add(
            "re_registration",
            firm.code,
            firm.name.full,
            firm.code,
            certificate,
            unit,
            draws.pick(_USES),
            firm.address,
            f"{draws.between(80, 6000)}.{draws.digits(2)}",
            f"{draws.pick((40, 50, 50, 70))}年",
            f"{CITY}自然资源和规划局",
            days.ago(bought),
        )
        if draws.chance(likely(0.3, seen, 0.5)):
            rows.add(
                "re_mortgage",
                firm.code,
                draws.pick(BANKS),
                make_uscc(draws.between(0, 999), "990100"),
                f"鹭({mortgaged[:4]}){of_place}不动产证明第9{draws.digits(6)}号",
                unit,
                draws.pick(("抵押权", "抵押权", "最高额抵押权")),
                firm.name.full,
                mortgaged,
            )
        if draws.chance(likely(0.06, seen, 1.1)):
            _seizure(firm, days, rows, draws, certificate)


def _seizure(firm: Firm, days: Days, rows: Rows, draws: Draws, certificate: str) -> None:
    ago = past(draws, firm, 900)
    released = draws.chance(0.25)
    rows.add(
        "re_seizure",
        firm.code,
        certificate,
        "查封已解除" if released else "查封",
        f"({days.ago(ago)[:4]})鹭{firm.district.code[2:]}执保{draws.between(10, 900)}号",
        f"{firm.district.zh}人民法院",
        draws.pick(("首封", "首封", "轮候查封")),
        "民间借贷纠纷财产保全",
        days.ago(ago),
        days.later(ago, 365 * 3),
        "全部",
        f"{days.ago(ago // 2)}解除" if released else NONE,
    )
