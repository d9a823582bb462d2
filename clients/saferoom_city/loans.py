"""What one bank of the city saw: whom it lent to, and who did not pay back.

It is no record of the plan. A loan defaults by the firm's own weakness, of which each owner's
records show a part, and by luck.
"""

from __future__ import annotations

from typing import Final

from saferoom_city.days import Days
from saferoom_city.firm import Firm, Stream
from saferoom_city.pieces import Rows, truth, yuan

LOANS: Final = "loans"
HEADING: Final = ("统一社会信用代码", "放款日期", "贷款金额", "期限(月)", "是否违约")
"""The columns of its file, as a bank's own list has them."""

_LENT_TO: Final = 0.6
_LUCK: Final = 0.25
_FAILS_FROM: Final = 1.45
"""About one loan in twelve defaults."""


def loan(firm: Firm, days: Days, rows: Rows) -> None:
    """Make the row of a firm that the bank lent to."""
    draws = firm.draws(Stream.LOAN)
    if not draws.chance(_LENT_TO):
        return
    failed = firm.weakness + _LUCK * draws.normal() > _FAILS_FROM
    rows.add(
        LOANS,
        firm.code,
        days.ago(draws.between(30, min(360, firm.age - 90))),
        yuan(max(1, firm.turnover // 80_000) * 1_000_000),
        str(draws.pick((12, 12, 24, 36))),
        truth(failed),
    )
