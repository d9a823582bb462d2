"""Water, electricity and gas (12.1 to 12.3): bills of 18 months, and who paid them when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from saferoom_city.course import monthly
from saferoom_city.days import MONTHS, Days
from saferoom_city.draws import Draws, likely
from saferoom_city.firm import Firm, Stream
from saferoom_city.pieces import NONE, Rows, truth, yuan
from saferoom_city.words import CITY, PROVINCE

_TERM_DAYS: Final = 20
_GRADES: Final = ("A", "B", "C", "D")
_WORTH: Final = (2_000_000, 500_000, 100_000)
"""Monthly bills, in fen, from which a customer is of the first grade, the second, the third."""


@dataclass(frozen=True, slots=True)
class _Utility:
    """What is supplied.

    Attributes:
        table: its table.
        bills: its tables of bills: with the price of a unit, or without.
        price: of a unit, in fen.
    """

    table: str
    bills: tuple[tuple[str, bool], ...]
    price: int
    tariff: str


_WATER: Final = _Utility(
    "util_water",
    (("util_water_monthly_payment", False), ("util_water_water_bill_detail", True)),
    410,
    "非居民用水",
)
_POWER: Final = _Utility(
    "util_electricity", (("util_electricity_monthly_payment", False),), 72, "一般工商业用电"
)
_GAS: Final = _Utility("util_gas", (("util_gas_gas_bill_detail", True),), 342, "工商业用气")


@dataclass(frozen=True, slots=True)
class _Account:
    """A firm's account with a utility.

    Attributes:
        number: of the account.
        bills: of each month, in fen.
        unpaid: how many of the newest bills are not paid.
    """

    number: str
    bills: list[int]
    unpaid: int

    def mean(self, months: int) -> int:
        """Give the mean bill of the newest months."""
        return sum(self.bills[-months:]) // months


def utilities(firm: Firm, days: Days, rows: Rows) -> None:
    """Make a firm's rows: nearly all have electricity, many their own meter of water, some gas."""
    draws = firm.draws(Stream.UTILITIES)
    seen = firm.seen(draws)
    supplied = {
        _WATER: (firm.trade.water, min(0.85, 0.4 + firm.staff / 60)),
        _POWER: (firm.trade.power, 0.93),
        _GAS: (firm.trade.gas, 0.8),
    }
    for utility, (share, likelihood) in supplied.items():
        if not (share and draws.chance(likelihood)):
            continue
        account = _account(firm, days, draws, seen, share)
        _register(firm, days, rows, draws, utility=utility, account=account)
        _bill(firm, days, rows, draws, utility=utility, account=account, seen=seen)
        if utility is _POWER:
            _power(firm, days, rows, draws, account=account, seen=seen)
        else:
            three, six = (_units(account.mean(each), utility.price) for each in (3, 6))
            name = firm.name.full
            owes = truth(account.unpaid > 0)
            rows.add(utility.table, name, firm.code, name, account.number, three, six, owes)


def _account(firm: Firm, days: Days, draws: Draws, seen: float, share: int) -> _Account:
    """Open an account whose bills are so many thousandths of the firm's turnover."""
    number = f"99{firm.district.code[2:]}{draws.digits(6)}"
    mean = max(2_000, firm.turnover * share // 1000 * 100 // 12)
    bills = monthly(firm, days, draws, seen, mean)
    owes = draws.chance(likely(0.05, seen, 0.9))
    return _Account(number, bills, draws.between(1, 4) if owes else 0)


def _units(fen: int, price: int) -> str:
    """Write for how many units a bill is, to the hundredth."""
    return yuan(fen * 100 // price)


def _register(
    firm: Firm, days: Days, rows: Rows, draws: Draws, *, utility: _Utility, account: _Account
) -> None:
    rows.add(
        f"{utility.table}_customer_registration",
        firm.code,
        account.number,
        firm.name.full,
        firm.address,
        days.ago(max(1, firm.age - draws.between(10, 150))),
        utility.tariff,
    )


def _bill(
    firm: Firm,
    days: Days,
    rows: Rows,
    draws: Draws,
    *,
    utility: _Utility,
    account: _Account,
    seen: float,
) -> None:
    adds = [(rows.lines[table].append, priced) for table, priced in utility.bills]
    price, written = utility.price, yuan(utility.price)
    late, unit, start = likely(0.1, seen, 0.6), draws.unit, f"{firm.code},{account.number}"
    for at, amount in enumerate(account.bills):
        if not amount:
            continue
        delay = int(unit() * 18) + (_TERM_DAYS + int(unit() * 40) if unit() < late else 0)
        ago = days.starts[at] - 31 - delay
        owing = at >= MONTHS - account.unpaid or ago < 0
        billed = yuan(amount)
        usage = yuan(amount * 100 // price)
        paid = f"{'0.00' if owing else billed},{NONE if owing else days.ago(ago)}"
        for add, priced in adds:
            of_unit = f"{written}," if priced else NONE
            add(f"{start},{days.months[at]},{usage},{of_unit}{billed},{paid}")


def _power(
    firm: Firm, days: Days, rows: Rows, draws: Draws, *, account: _Account, seen: float
) -> None:
    rank = min(3, max(0, int(1.5 + 0.8 * seen + 0.9 * draws.normal())))
    worth = sum(account.mean(12) < least for least in _WORTH)
    rows.add(
        "util_electricity",
        firm.name.full,
        firm.code,
        account.number,
        days.ago(max(1, firm.age - 30)),
        _POWER.tariff,
        PROVINCE,
        CITY,
        _GRADES[worth],
        _GRADES[rank],
        *(yuan(account.mean(months)) for months in (3, 6, 12)),
        truth(account.unpaid > 0),
    )
    if draws.chance(likely(0.01, seen, 0.7)):
        stolen = account.mean(12) * draws.between(1, 5)
        rows.add(
            "util_electricity_breach_usage",
            firm.code,
            account.number,
            days.ago(draws.between(10, 900)),
            draws.pick(("高价低接", "私自超容", "绕越计量")),
            yuan(stolen),
            yuan(stolen * 3),
        )
