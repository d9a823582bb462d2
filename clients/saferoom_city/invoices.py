"""VAT invoices (3.4): a sample of what a firm sold and bought in the last year.

Shares of void and red invoices, and their amounts, after those of real small firms (CUMCM 2020,
problem C): 7.9 % of sales void and 3.1 % red, 4.1 % and 0.9 % of purchases.
"""

from __future__ import annotations

from typing import Final

from saferoom_city.days import Days
from saferoom_city.draws import likely
from saferoom_city.firm import Firm, Stream, name_of
from saferoom_city.pieces import Rows, yuan

_SOLD, _BOUGHT = "销项", "进项"
_GOOD, _VOID, _RED = "有效", "作废", "红冲"
_SHARES: Final = {_SOLD: (0.079, 0.031), _BOUGHT: (0.041, 0.009)}
_RATES: Final = (13, 13, 9, 6, 3)
_PARTNERS: Final = 4096
"""Everybody trades with the first firms of the city, also of one that is smaller than that."""
_MONTHS: Final = 12


def invoices(firm: Firm, days: Days, rows: Rows, sales: list[int], seen: float) -> None:
    """Make a firm's rows from its sales of each month."""
    draws = firm.draws(Stream.INVOICES)
    add = rows.lines["tax_record_vat_invoice"].append
    unit, code, rate = draws.unit, firm.code, draws.pick(_RATES)
    # A firm keeps a few customers; one that fails loses them.
    partners = [name_of(firm.seed, draws.between(0, _PARTNERS - 1)).code for _ in range(6)]
    marked = {
        way: (likely(void, seen, 0.35), likely(red, seen, 0.35))
        for way, (void, red) in _SHARES.items()
    }
    most = min(9.0, 0.9 + firm.staff / 14)
    number = draws.between(0, 999_999)
    for at in range(len(sales) - _MONTHS, len(sales)):
        sold, started = sales[at], days.starts[at]
        ends = days.starts[at + 1] if at + 1 < len(sales) else 0
        for way, amount in ((_SOLD, sold), (_BOUGHT, sold * 7 // 10)):
            pieces = int(most * unit() + 0.5) if amount else 0
            for _ in range(pieces):
                number += 1 + int(unit() * 97)
                net = int(amount * (0.4 + unit()) / most)
                void, red = marked[way]
                chance = unit()
                state = _VOID if chance < void else _RED if chance < void + red else _GOOD
                net = -net if state == _RED else net
                taxed = net * rate // 100
                day = days.ago(started - int(unit() * (started - ends)))
                partner = partners[int(unit() * len(partners))]
                add(
                    f"{code},{way},{day[2:4]}99{firm.district.code[2:]}{number:012d},{day},"
                    f"{partner},{yuan(net)},{yuan(taxed)},{yuan(net + taxed)},{state}"
                )
