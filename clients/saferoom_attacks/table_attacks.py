"""The attacks on tables: what each asks for, and what it makes of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import product
from typing import Final

from saferoom_attacks.ask import BANK, RIVALS
from saferoom_attacks.attack import Chance
from saferoom_attacks.books import (
    BRANCH,
    DISTRICT,
    DUE,
    EACH,
    FEW,
    FIRST,
    GIANTS,
    GRADE,
    GRIDS,
    GROUPS,
    KNOWN,
    LATE,
    LINE,
    OFFICE,
    PAID,
    SECOND,
    SECOND_LARGEST,
    SMALL,
    SMALLEST,
    THIRD,
    TRADE,
    TURNED,
    YOUNG,
    Book,
    Row,
    giant,
    rows,
    size_of,
)
from saferoom_attacks.table_ask import (
    BASE,
    HIGHEST,
    THRESHOLD,
    Cell,
    HomeRules,
    Plan,
    Sheet,
    TableOracle,
    counted,
    rounded,
    summed,
)
from saferoom_attacks.table_attack import Left, TableAttack
from saferoom_attacks.table_intruder import Codes, World, derived
from saferoom_proto.statements import Title

ANYTHING: Final = EACH + 1
"""Values that a count of firms of one group can have, for all that is public: none to all."""
STAYS: Final = THRESHOLD + 1
"""Values of a cell that must stay possible: what it is, and up to the threshold more."""
UNIONS_STAY: Final = THRESHOLD - max(FEW) + 1
"""Of a set that is no cell of what was asked: what it is, and up to the threshold."""
GRADES_VALUES: Final = 121
"""Values that the count of a grade can have, for all that is public."""
BASES: Final = (5, 6, 7, 8, 9, 10)
FEWEST_PLANS, MOST_PLANS = 6, 40
"""How many plans the search asks for, by how long a run is: a sixth of its rounds. Each is a
template that is proposed, approved and asked for."""
MOST_TARGETS: Final = 16
"""How many small sets it is after: the smallest."""
_GIANTS_STAY: Final = 3
"""Sizes a tenth apart: the own one, one more and one less (p% is 10)."""

_FLAGS: Final = tuple(product((0, 1), repeat=3))


def _trades() -> World:
    return World(
        (TRADE, LATE),
        tuple(product(range(GROUPS), (0, 1))),
        tuple(frozenset({(trade, 1)}) for trade in range(GROUPS)),
        known=(TRADE,),
    )


def _offices() -> World:
    """Who moved is in one district and goes to the office of the next."""
    own = [(district, district) for district in range(GROUPS)]
    moved = [(district, district + 1) for district in range(GROUPS - 1)]
    targets = tuple(frozenset({each}) for each in moved)
    return World((DISTRICT, OFFICE), (*own, *moved), targets, known=(DISTRICT,))


def _lines() -> World:
    """All three flags, or none of them."""
    possible = tuple((line, *flags) for line in range(GROUPS) for flags in _FLAGS)
    targets = tuple(frozenset({(line, 0, 0, 0), (line, 1, 1, 1)}) for line in range(GROUPS))
    return World((LINE, FIRST, SECOND, THIRD), possible, targets, known=(LINE,))


def _amounts(firms: Sequence[Row]) -> World:
    """All stretches of the amount that hold few firms, and each with every flag."""
    cuts = sorted({0, *GRIDS[0], *GRIDS[1]})
    stretches = [tuple(sum(cut <= low for cut in grid) for grid in GRIDS) for low in cuts]
    columns = (PAID, DUE, TURNED, KNOWN, YOUNG)
    possible = tuple((*stretch, *flags) for stretch in stretches for flags in _FLAGS)
    kept = [_FLAGS, *(_with(at, value) for at in range(3) for value in (0, 1))]
    ends = [(first, last) for last in range(len(cuts)) for first in range(last + 1)]
    sets = (
        frozenset((*stretch, *flags) for stretch in stretches[first : last + 1] for flags in those)
        for first, last in ends
        for those in kept
    )
    world = World(columns, possible, tuple(dict.fromkeys(sets)))
    few = world.few(firms)
    small = sorted(
        (at for at, firms_in in enumerate(few) if 0 < firms_in <= max(FEW)), key=few.__getitem__
    )
    return World(columns, possible, tuple(world.targets[at] for at in small[:MOST_TARGETS]))


def _with(at: int, value: int) -> tuple[Codes, ...]:
    """Give the combinations of flags of which one is so."""
    return tuple(flags for flags in _FLAGS if flags[at] == value)


def _left(world: World, told: Iterable[Sheet], firms: Sequence[Row]) -> list[Left]:
    ranges = world.ranges(told, firms)
    return [
        Left(int(truth), max(0, low), min(EACH, high))
        for truth, (low, high) in zip(world.few(firms), ranges, strict=True)
    ]


def small_cells(oracle: TableOracle, firms: Sequence[Row], _: Chance) -> list[Left]:
    """Ask for small cells, with all that they add up to."""
    return _left(_trades(), [oracle.tell(BANK, Plan((TRADE, LATE), 2))], firms)


def differencing(oracle: TableOracle, firms: Sequence[Row], _: Chance) -> list[Left]:
    """Ask by one column and, as another bank, by one that is nearly the same."""
    told = [oracle.tell(bank, Plan((column,), 1)) for bank, column in _two(DISTRICT, OFFICE)]
    return _left(_offices(), told, firms)


def trackers(oracle: TableOracle, firms: Sequence[Row], _: Chance) -> list[Left]:
    """Ask for all pairs of three flags, and so for who has all of them or none."""
    pairs = ((FIRST, SECOND), (FIRST, THIRD), (SECOND, THIRD))
    told = [
        oracle.tell(bank, Plan((LINE, *pair), 3))
        for bank, pair in zip(RIVALS[:3], pairs, strict=True)
    ]
    return _left(_lines(), told, firms)


def search(oracle: TableOracle, firms: Sequence[Row], chance: Chance) -> list[Left]:
    """Breed plans: the next one is drawn, or made of the one that told most so far."""
    dice, world = chance.dice("table-search"), _amounts(firms)
    told: list[Sheet] = []
    best, least, left = Plan((PAID,), 1), math.inf, list[Left]()
    for number in range(max(FEWEST_PLANS, min(MOST_PLANS, chance.rounds // FEWEST_PLANS))):
        columns = list(best.columns if number % 2 else ())
        while not columns or (len(columns) < 3 and dice.random() < 0.6):  # noqa: PLR2004 - ways
            columns = list(dict.fromkeys([*columns, dice.choice(world.columns)]))
        plan = Plan(tuple(columns[-3:]), min(len(columns), dice.randint(1, 3)))
        told.append(oracle.tell(dice.choice((BANK, *RIVALS[:2])), plan))
        left = _left(world, told, firms)
        if (narrowest := min(each.values for each in left)) < least:
            best, least = plan, narrowest
    return left


def averaging(oracle: TableOracle, firms: Sequence[Row], _: Chance) -> list[Left]:
    """Ask for one count in many roundings, and take what all of them leave."""
    told = [oracle.tell(BANK, Plan((GRADE,), 1, base=base)) for base in BASES]
    exact = counted(firms, (GRADE,))
    # All by the first rule and then by their own, as the software does it; else each by its own.
    for again in (True, False):
        counts = {cell: _counts_of(cell, told, again=again) for cell in exact}
        if all(counts.values()):
            break
    return [Left(int(exact[cell]), min(them), max(them)) for cell, them in counts.items()]


def _counts_of(cell: Cell, told: Sequence[Sheet], *, again: bool) -> list[int]:
    """Give the counts that explain what was told of a cell."""

    def explains(count: int) -> bool:
        once = rounded(count, BASES[0]) if again else count
        return all(
            cell not in sheet or sheet[cell] == rounded(once, base)
            for base, sheet in zip(BASES, told, strict=True)
        )

    return [count for count in range(10, 10 + GRADES_VALUES) if explains(count)]


def dominance(oracle: TableOracle, firms: Sequence[Row], _: Chance) -> list[Left]:
    """Subtract from a sum what the second largest has, which is the attacker's own."""
    sheet = oracle.tell(BANK, Plan((BRANCH,), 1, added=True))
    exact = summed(firms, (BRANCH,), added=True) | summed(firms, (), added=True)
    names = (BRANCH.name,)
    cells = [(names, (branch,)) for branch in range(GROUPS)]
    sums = derived([(cell, exact[cell]) for cell in sheet], cells, HIGHEST)
    others = EACH - 2
    left: list[Left] = []
    for branch, (low, high) in enumerate(sums):
        least = low - SECOND_LARGEST - others * SMALL
        most = high - SECOND_LARGEST - others * SMALLEST
        possible = [step for step in range(GIANTS) if least <= size_of(step) <= most]
        left.append(Left(giant(branch), min(possible), max(possible)))
    return left


def epochs(oracle: TableOracle, firms: Sequence[Row], chance: Chance) -> list[Left]:
    """Ask for the same table before and after a load that moves a few firms up by a grade."""
    later = rows(chance.seed, later=True)
    first = oracle.tell(BANK, Plan((GRADE,), 1))
    oracle.next_period(later)
    then = oracle.tell(BANK, Plan((GRADE,), 1))
    both = first.keys() & then.keys()
    exact, new = counted(firms, (GRADE,)), counted(later, (GRADE,))
    # Whoever comes into a grade comes from the one below: so from the lowest on.
    left, came, sure = list[Left](), 0.0, True
    for grade in range(GROUPS - 1):
        cell = ((GRADE.name,), (grade,))
        sure = sure and cell in both
        came = exact[cell] + came - new[cell]
        ends = (int(came), int(came)) if sure else (0, EACH)
        left.append(Left(FEW[grade], *ends))
    return left


def _two(one: Book, other: Book) -> list[tuple[str, Book]]:
    return [(BANK, one), (RIVALS[0], other)]


def _words(en: str, zh: str) -> Title:
    return Title(en=en, zh=zh)


_FEW: Final = _words("11 counts of each small set stay possible", "每个小集合至少仍有 11 种可能")
_UNIONS: Final = _words("each small set may be of ten", "每个小集合都可能有 10 家")
_EACH_BY_ITSELF: Final = _words("a threshold only, table by table", "只有阈值, 逐表判断")

_cells: Final = partial(TableAttack, prior=ANYTHING, least=STAYS, why=_FEW)
_unions: Final = partial(TableAttack, prior=ANYTHING, least=UNIONS_STAY, why=_UNIONS)

TABLE_ATTACKS: Final = (
    _cells(
        name="table-small-cells",
        title=_words("asks for small cells and all that they add up to", "查询小单元格及其合计"),
        play=small_cells,
        control=HomeRules(threshold=False),
        lacks=_words("no rule at all", "没有任何规则"),
    ),
    _cells(
        name="table-complements",
        title=_words("subtracts what is shown from what it adds up to", "以合计减去已公布部分"),
        play=small_cells,
        lacks=_words("nothing is withheld for another cell's sake", "没有补充隐藏"),
    ),
    _cells(
        name="table-differencing",
        title=_words(
            "asks by two columns that differ by few firms", "按仅差少数企业的两列分别查询"
        ),
        play=differencing,
        lacks=_EACH_BY_ITSELF,
    ),
    _unions(
        name="table-trackers",
        title=_words(
            "asks for pairs of three flags: who has all or none?",
            "由三个标志的两两表推出全有或全无者",
        ),
        play=trackers,
        lacks=_EACH_BY_ITSELF,
    ),
    _unions(
        name="table-search",
        title=_words(
            "breeds plans, after QuerySnout, and solves them",
            "仿 QuerySnout 演化查询方案并线性重构",
        ),
        play=search,
        lacks=_EACH_BY_ITSELF,
    ),
    TableAttack(
        name="table-averaging",
        title=_words("asks for one count in six roundings", "以六种舍入基数查询同一计数"),
        play=averaging,
        prior=GRADES_VALUES,
        least=BASE,
        why=_words("one rounding", "一种舍入"),
        lacks=_words("each table is rounded by its own rule", "各表按各自规则舍入"),
    ),
    TableAttack(
        name="table-dominance",
        title=_words(
            "the second largest subtracts its own from a sum", "次大者从合计中减去自己的数额"
        ),
        play=dominance,
        prior=GIANTS,
        least=_GIANTS_STAY,
        why=_words("p%: a tenth more and a tenth less stay possible", "p% 规则: 上下一成仍有可能"),
        lacks=_words("no rule of dominance", "没有支配规则"),
    ),
    TableAttack(
        name="table-epochs",
        title=_words("asks before and after a load", "在装载前后各查询一次"),
        play=epochs,
        prior=ANYTHING,
        least=ANYTHING,
        why=_words("nothing of the second within the days", "等待期内不得获知"),
        lacks=_words("tables of other records do not wait", "其他记录的表不需等待"),
    ),
)
"""In the order in which they run: the last has the books loaded anew."""
