"""The firms of a city: who each is, how large, and how likely to fail, before any record is made.

A firm is made from the seed and its number alone. So any process makes any firm, again and alike:
cities of 200,000 are made in pieces, and a firm's customers are named without being kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from math import sqrt
from typing import Final

from saferoom_city.draws import Draws, growth
from saferoom_city.trades import BY_LOT, FARM, Trade
from saferoom_city.words import CITY, DISTRICTS, FIRST, GIVEN, SECOND, SURNAMES, THIRD, District
from saferoom_proto.uscc import make_uscc

MOST_FIRMS: Final = len(FIRST) * len(SECOND) * (1 + len(THIRD))
"""So many names can be told apart."""

_PAIRS: Final = len(FIRST) * len(SECOND)
_NAME_STEP: Final = 7919
_CODE_STEP: Final = 36_871_063
"""Prime, and to the numbers they step through: no name and no code comes twice."""
_CODES: Final = 10**8
_LEADING: Final = ("91", "92", "93")
_KEPT: Final = 1 << 14
_RESIDENT_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)  # GB 11643
_RESIDENT_CHECKS: Final = "10X98765432"

OLDEST: Final = 365 * 35
"""Days since the oldest firms were founded."""
SHARED: Final = 0.66
"""How far what an owner sees of a firm follows the firm's own weakness: one sees little of it,
all together much. Set by what came out of 24,000 firms: see docs/city.md."""
_OWN: Final = sqrt(1 - SHARED * SHARED)


class Kind(Enum):
    """As what a firm is registered: the second digit of its code (GB 32100)."""

    COMPANY = 0
    SOLE_TRADER = 1
    COOPERATIVE = 2


class Stream(Enum):
    """What is drawn apart: the firm itself, and each category of its records."""

    FIRM = auto()
    REGISTRATION = auto()
    JUDICIAL = auto()
    TAX = auto()
    HOUSING_FUND = auto()
    SOCIAL_INSURANCE = auto()
    ENVIRONMENT = auto()
    CUSTOMS = auto()
    TRADEMARK_PATENT = auto()
    SOFTWARE_COPYRIGHT = auto()
    REAL_ESTATE = auto()
    ADMINISTRATIVE = auto()
    UTILITIES = auto()
    SCIENCE_RD = auto()
    AGRICULTURE = auto()
    PUBLIC_RESOURCE = auto()
    INVOICES = auto()
    LOAN = auto()


@dataclass(frozen=True, slots=True)
class Name:
    """What others write of a firm: its code, and how it is called."""

    code: str
    full: str


@dataclass(frozen=True, slots=True)
class Firm:
    """A firm.

    Attributes:
        number: from 0.
        short: its trade name.
        age: days since it was founded.
        capital: registered, in ten thousand yuan.
        head: its legal representative.
        head_id: the number of that person's identity card.
        staff: how many work there.
        turnover: of a year, in yuan.
        weakness: what no owner sees: the higher, the likelier it fails. Mean 0, deviation 1.
    """

    number: int
    seed: int
    name: Name
    kind: Kind
    trade: Trade
    district: District
    short: str
    address: str
    age: int
    capital: int
    head: str
    head_id: str
    staff: int
    turnover: int
    weakness: float

    @property
    def code(self) -> str:
        """Its unified social credit code."""
        return self.name.code

    @property
    def is_company(self) -> bool:
        """Whether it is a company, and no sole trader or co-operative."""
        return self.kind is Kind.COMPANY

    def draws(self, stream: Stream) -> Draws:
        """Give what falls to it in a category."""
        return Draws(self.seed, self.number, stream.value)

    def seen(self, draws: Draws) -> float:
        """Give how it looks to one owner: the higher, the worse. Mean 0, deviation 1."""
        return SHARED * self.weakness + _OWN * draws.normal()


def person(draws: Draws) -> str:
    """Make up somebody's name."""
    given = draws.pick(GIVEN)
    return draws.pick(SURNAMES) + given + (draws.pick(GIVEN) if draws.chance(0.8) else "")


def identity_number(draws: Draws) -> str:
    """Make up the number of an identity card, with its check and a region that no place has."""
    region = draws.pick(DISTRICTS).code
    born = f"{draws.between(1956, 2001)}{draws.between(1, 12):02d}{draws.between(1, 28):02d}"
    body = f"{region}{born}{draws.digits(3)}"
    total = sum(int(digit) * weight for digit, weight in zip(body, _RESIDENT_WEIGHTS, strict=True))
    return body + _RESIDENT_CHECKS[total % 11]


@lru_cache(maxsize=_KEPT)
def name_of(seed: int, number: int) -> Name:
    """Give how others write a firm."""
    return make_firm(seed, number).name


def make_firm(seed: int, number: int) -> Firm:
    """Make a firm from the city's seed and its number."""
    draws = Draws(seed, number, Stream.FIRM.value)
    trade, district = draws.pick(BY_LOT), draws.pick(DISTRICTS)
    kind = _kind(draws, trade)
    short = _short(seed, number)
    size = draws.spread(0.8) * {Kind.COMPANY: 1.0, Kind.SOLE_TRADER: 0.25}.get(kind, 0.6)
    staff = max(1, int(trade.staff * size))
    turnover = max(20_000, int(staff * trade.turnover * draws.spread(0.5)))
    weakness = draws.normal()
    return Firm(
        number=number,
        seed=seed,
        name=Name(_code(seed, number, kind, district), _name(kind, trade, short)),
        kind=kind,
        trade=trade,
        district=district,
        short=short,
        address=_address(draws, district),
        # Young firms fail more often.
        age=min(OLDEST, 200 + int(2600 * draws.spread(0.75) * growth(-0.06 * weakness))),
        capital=max(1, int(turnover * draws.spread(0.7) / 40_000)) * 5,
        head=person(draws),
        head_id=identity_number(draws),
        staff=staff,
        turnover=turnover,
        weakness=weakness,
    )


def _kind(draws: Draws, trade: Trade) -> Kind:
    if trade.code.startswith(FARM.code[0]) and draws.chance(0.55):
        return Kind.COOPERATIVE
    return Kind.SOLE_TRADER if draws.chance(0.22) else Kind.COMPANY


def _short(seed: int, number: int) -> str:
    """Give a trade name that no other firm of the city has."""
    third, pair = divmod(number, _PAIRS)
    first, second = divmod((pair * _NAME_STEP + seed) % _PAIRS, len(SECOND))
    return FIRST[first] + SECOND[second] + (THIRD[third - 1] if third else "")


def _name(kind: Kind, trade: Trade, short: str) -> str:
    ending = {
        Kind.COMPANY: "有限公司",
        Kind.SOLE_TRADER: "经营部",
        Kind.COOPERATIVE: "专业合作社",
    }[kind]
    return f"{CITY}{short}{trade.word}{ending}"


def _code(seed: int, number: int, kind: Kind, district: District) -> str:
    """Give a code in a region that no place has, so that it is no real firm's."""
    serial = (number * _CODE_STEP + seed * 1_000_003) % _CODES
    return make_uscc(serial, district.code, _LEADING[kind.value])


def _address(draws: Draws, district: District) -> str:
    place = f"{CITY}{district.zh}{draws.pick(district.streets)}{draws.between(1, 488)}号"
    if draws.chance(0.6):
        place += f"{draws.between(1, 18)}幢{draws.between(1, 21)}{draws.between(1, 8):02d}室"
    return place
