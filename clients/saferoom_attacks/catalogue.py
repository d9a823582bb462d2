"""The attacks, by name: what each does, its bound, and the gate against which it must succeed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from saferoom_attacks.ask import ALLIES, NONE, RIVALS, ROVER, Rules, Trick
from saferoom_attacks.asking import (
    GUESSES,
    aborted,
    at_once,
    binary_search,
    correlated,
    eight_groups,
    existence,
    formulas,
    one_group,
    refusals,
    regrouping,
    repeats,
    smuggling,
    stated_values,
    time_slicing,
)
from saferoom_attacks.attack import Attack, upper_half, without
from saferoom_attacks.breaking import Breaking, grants_for_downgrade, grants_for_tricks
from saferoom_attacks.controls import AuditingGate, NoisyGate, TellingGate
from saferoom_attacks.evolving import evolved
from saferoom_attacks.firms import (
    ARREARS,
    ATTEMPTS,
    FAMILY_BITS,
    KNOWN,
    MIDDLE,
    SILENT,
    TURNOVER,
    UNHEARD,
)
from saferoom_attacks.forging import forged
from saferoom_attacks.ground import Grant
from saferoom_attacks.guessing import by_error, by_noise, by_pattern
from saferoom_proto.statements import Title

ONE_CUT: Final = 3
"""Cells of one threshold: below, from there on, unknown."""
_FAMILY: Final = 1 << FAMILY_BITS
_GRID: Final = len(TURNOVER.grid) + 2
"""The grid's cells, and unknown."""


def _words(en: str, zh: str) -> Title:
    return Title(en=en, zh=zh)


def _to(banks: Sequence[str]) -> Callable[[str], Sequence[Grant]]:
    return lambda subject: tuple(Grant(subject, bank) for bank in banks)


_BUDGET: Final = _words("the feature's budget", "特征预算")
_CAP: Final = _words("the family's cap", "特征族上限")
_NOTHING: Final = _words("nothing may be told", "不得泄露")
_OPEN: Final = _words("no rule at all", "没有任何规则")

_ASKING: Final = (
    Attack(
        name="binary-search",
        title=_words(
            "halves the interval of one amount, on and off the grid",
            "对一个数值二分, 含网格外",
        ),
        play=binary_search,
        bound=TURNOVER.budget_cells,
        why=_BUDGET,
        control=without(NONE),
        lacks=_OPEN,
    ),
    Attack(
        name="one-group",
        title=_words("8 banks of one group share out the thresholds", "同一集团的八家银行分摊阈值"),
        play=one_group,
        bound=TURNOVER.budget_cells,
        why=_BUDGET,
        control=without(Rules(groups=False)),
        lacks=_words("an account for each bank", "每家银行单独记账"),
        grants=_to(ALLIES),
    ),
    Attack(
        name="eight-groups",
        title=_words("8 banks of 8 groups pool their answers", "八个集团的八家银行汇总答案"),
        play=eight_groups,
        bound=_GRID,
        why=_words("the grid and unknown", "网格与未知"),
        control=without(Rules(grid=False)),
        lacks=_words("a threshold is free to choose", "阈值可任选"),
        grants=_to(RIVALS),
    ),
    Attack(
        name="correlated",
        title=_words("puts four correlated features together", "合并四个相关特征"),
        play=correlated,
        bound=_FAMILY,
        why=_CAP,
        control=without(Rules(cap=False)),
        lacks=_words("no cap for the family", "没有特征族上限"),
    ),
    Attack(
        name="time-slicing",
        title=_words("asks on in each new period", "在每个新周期继续提问"),
        play=time_slicing,
        bound=_FAMILY,
        why=_CAP,
        control=without(Rules(cap=False)),
        lacks=_words("budgets that a load refills", "每次装载后预算清零"),
    ),
    Attack(
        name="existence",
        title=_words(
            "is there a row of a firm of which nothing is known?", "未知企业在库中是否有记录"
        ),
        play=existence,
        records=(SILENT, UNHEARD),
        bound=1,
        why=_NOTHING,
        guess=by_error,
        control=lambda firms, _: TellingGate(firms),
        lacks=_words("an error for who is not in the store", "对库外主体另行报错"),
    ),
    Attack(
        name="aborted-calls",
        title=_words("asks and hangs up before the answer", "提问后在答复前挂断"),
        play=aborted,
        bound=TURNOVER.budget_cells,
        why=_BUDGET,
        control=without(Rules(before=False)),
        lacks=_words("an answer is charged when it is delivered", "送达时才扣费"),
        by_chance=True,
    ),
    Attack(
        name="at-once",
        title=_words(
            "8 banks of one group ask for all at the same time", "同一集团的八家银行同时提问"
        ),
        play=at_once,
        bound=TURNOVER.budget_cells,
        why=_BUDGET,
        control=without(Rules(alone=False)),
        lacks=_words("questions that are judged one by one", "逐一判定"),
        grants=_to(ALLIES),
        by_chance=True,
    ),
    Attack(
        name="refusal-patterns",
        title=_words("looks at refusals only", "只看拒绝的模式"),
        play=refusals,
        bound=1,
        why=_NOTHING,
        guess=by_pattern,
        control=lambda firms, _: AuditingGate(firms),
        lacks=_words("refusals that look at the record", "拒绝取决于记录"),
    ),
    Attack(
        name="repeats",
        title=_words("asks one question again and again, and averages", "重复同一问题并取平均"),
        play=repeats,
        bound=ONE_CUT,
        why=_words("one threshold, and unknown", "一个阈值与未知"),
        guess=by_noise,
        control=lambda firms, chance: NoisyGate(firms, chance.dice("noise")),
        lacks=_words("noise, anew for each answer", "每次答复另加噪声"),
        noisy=True,
    ),
    Attack(
        name="formulas",
        title=_words("solves formulas over two features for each", "由两特征公式反解各自取值"),
        play=formulas,
        bound=TURNOVER.budget_cells * ARREARS.budget_cells,
        why=_words("both budgets", "两个预算之积"),
        control=without(Rules(budgets=False)),
        lacks=_words("no budgets", "没有预算"),
    ),
    Attack(
        name="regrouping",
        title=_words(
            "asks on with each next agreement, for another group", "每次换约改属另一集团后继续提问"
        ),
        play=regrouping,
        bound=TURNOVER.budget_cells,
        why=_BUDGET,
        control=without(Rules(groups=False)),
        lacks=_words("an account that goes with the bank", "账目不随银行转移"),
        grants=_to((ROVER,)),
    ),
    Attack(
        name="stated-values",
        title=_words("guesses a telephone number, 8 likely ones", "猜测电话号码, 八个候选"),
        play=stated_values,
        records=(*KNOWN[:GUESSES], SILENT),
        bound=ATTEMPTS + 2,
        why=_words("the values that may be stated, others, unknown", "可陈述的次数, 其余, 未知"),
        control=without(Rules(attempts=False, budgets=False, cap=False)),
        lacks=_words("a count of attempts, and budgets", "次数限制与预算"),
        grants=_to(ALLIES),
    ),
    Attack(
        name="parameter-smuggling",
        title=_words("parameters that a careless reader takes for others", "夹带异常参数"),
        play=smuggling,
        bound=ONE_CUT,
        why=_words("the one threshold among them", "其中唯一的合法阈值"),
        control=without(Rules(grid=False, budgets=False)),
        lacks=_words("any number is taken", "任何数值都接受"),
    ),
)

_BREAKING: Final = tuple(
    Attack(
        name=name,
        title=title,
        play=Breaking(tricks),
        records=KNOWN,
        secret=upper_half,
        bound=1,
        why=_NOTHING,
        control=without(NONE),
        lacks=_OPEN,
        grants=grants,
    )
    for name, title, tricks, grants in (
        (
            "consent-replay",
            _words(
                "without consent, by a lapsed one, or by a used question", "无授权、失效授权或重放"
            ),
            (
                *(Trick.NO_CONSENT, Trick.REVOKED, Trick.USED_UP),
                *(Trick.ANOTHERS_QUESTION, Trick.SAME_NONCE, Trick.OUT_OF_TIME),
            ),
            grants_for_tricks,
        ),
        (
            "purpose-switch",
            _words("for another purpose than was consented to", "改变用途"),
            (Trick.OTHER_PURPOSE, Trick.FOREIGN_PURPOSE),
            _to(("bank",)),
        ),
        (
            "confused-deputy",
            _words("by another's consent, signature or name", "借用他人的授权、签名或名义"),
            (Trick.OTHERS_CONSENT, Trick.OTHER_SUBJECT, Trick.OWN_NAME),
            _to(("bank",)),
        ),
        (
            "template-smuggling",
            _words("by a template that nobody approved like this", "使用未经批准的模板"),
            (
                *(Trick.UNAPPROVED, Trick.SAME_NAME),
                *(Trick.BORROWED_CERTIFICATE, Trick.FINER_LITERAL),
            ),
            _to(("bank",)),
        ),
        (
            "policy-downgrade",
            _words(
                "by a template, feature, agreement or charter of before",
                "使用旧模板、旧特征、旧协议或旧章程",
            ),
            (
                *(Trick.WITHDRAWN, Trick.FORMER_FEATURE, Trick.FORMER_AGREEMENT),
                *(Trick.ENDED_AGREEMENT, Trick.LAXER_CHARTER),
            ),
            grants_for_downgrade,
        ),
    )
)

_EVOLVED: Final = Attack(
    name="evolved",
    title=_words(
        "breeds a tree of questions, after QuerySnout and QueryCheetah",
        "演化提问树 (仿 QuerySnout 与 QueryCheetah)",
    ),
    play=evolved,
    bound=_FAMILY,
    why=_CAP,
    control=without(NONE),
    lacks=_OPEN,
)

_FORGED: Final = Attack(
    name="forged-requests",
    title=_words("the server is taken over and makes requests up", "服务器被攻陷并伪造请求"),
    play=forged,
    records=(KNOWN[MIDDLE - 1], KNOWN[MIDDLE]),
    secret=upper_half,
    bound=1,
    why=_NOTHING,
    control=without(NONE),
    lacks=_OPEN,
)

ATTACKS: Final = (*_ASKING, *_BREAKING, _EVOLVED, _FORGED)
"""In the order in which they run. Two have the store loaded anew, which opens a period for all."""
