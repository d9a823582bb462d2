"""Formulas of checks: read from SQL's WHERE grammar, bound to grids, evaluated over cells.

`parse_formula` gives a `Node`; `bind` with parameters and shapes a `Bound`; `evaluate` of that and
a subject's cells the answer; `cuts` of it what the asker is charged for. `docs/formula.md` is the
page for those who write templates.
"""

from __future__ import annotations

from saferoom_proto.formula.bind import bind, max_cuts, stated
from saferoom_proto.formula.evaluate import NULL, Cut, cuts, evaluate
from saferoom_proto.formula.shape import FeatureShape
from saferoom_proto.formula.text import format_formula, format_number
from saferoom_proto.formula.tree import (
    Among,
    And,
    AtLeast,
    Bound,
    Compare,
    FeatureRef,
    Flag,
    IsCell,
    IsFlag,
    IsIn,
    IsNull,
    Leaf,
    Node,
    Not,
    Operator,
    Or,
    Param,
    all_of,
    any_of,
)
from saferoom_proto.formula.uses import features, parameters, split_by_owner
from saferoom_proto.statements.feature import Absent, FeatureKind

__all__ = [
    "NULL",
    "Absent",
    "Among",
    "And",
    "AtLeast",
    "Bound",
    "Compare",
    "Cut",
    "FeatureKind",
    "FeatureRef",
    "FeatureShape",
    "Flag",
    "IsCell",
    "IsFlag",
    "IsIn",
    "IsNull",
    "Leaf",
    "Node",
    "Not",
    "Operator",
    "Or",
    "Param",
    "all_of",
    "any_of",
    "bind",
    "cuts",
    "evaluate",
    "features",
    "format_formula",
    "format_number",
    "max_cuts",
    "parameters",
    "parse_formula",
    "split_by_owner",
    "stated",
]


def parse_formula(text: str) -> Node:
    """Read a formula, or refuse it by name and position: `parse.parse_formula`."""
    # With the parser comes sqlglot, an eighth of a second of a processor: an enclave's child, a key
    # agent and most commands read no formula.
    from saferoom_proto.formula import parse  # noqa: PLC0415

    return parse.parse_formula(text)
