"""List the rules that code gives in English and that the command line says in no other language.

    python tools/rules.py

A rule is what an error says beside its reason. `tests/house/test_rules.py` holds the list empty.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from saferoom_client.cli.rules_said import say_rule
from saferoom_client.tongue import Language, say, speak

TOP: Final = Path(__file__).resolve().parent.parent
PLACES: Final = (
    *("proto/saferoom_proto", "saferoom", "enclaves/saferoom_enclaves"),
    *("clients/saferoom_client", "clients/saferoom_city", "models/saferoom_models"),
)

_NO_RULES: Final = frozenset(
    {"NotImplementedError", "AssertionError", "AttributeError", "RuntimeError", "TypeError", "Exit"}
)
"""What is raised for programmers."""
_SENTENCE: Final = 3
"""Words in the shortest rule that is looked at."""
_HOLDERS: Final = frozenset({"rule", "detail", "why", "problem", "fault", "otherwise"})
"""Variables and parameters that hold a rule."""

LOGGED: Final = ("saferoom/", "enclaves/")
"""Who calls hears of these what stands in a field's fault; a detail is for the operator's log."""
STARTED: Final = (
    *(
        "saferoom/backup.py",
        "saferoom/config.py",
        "saferoom/inforce.py",
        "saferoom/ledger/audit.py",
    ),
    *("saferoom/ledger/audited.py", "saferoom/restore.py", "saferoom/room.py"),
    *("saferoom/rotation.py", "saferoom/seen.py", "saferoom/signing.py", "saferoom/supervisor.py"),
    *("saferoom/state/database.py", "saferoom/state/upgrade.py", "saferoom/tracing.py"),
    *("enclaves/saferoom_enclaves/launch.py", "enclaves/saferoom_enclaves/vault.py"),
    *("enclaves/saferoom_enclaves/features/", "enclaves/saferoom_enclaves/sandbox/"),
)
"""But of these everything: they run in a command, or stop an enclave and are shown as its fault."""

FORGED: Final = (
    *(
        f"proto/saferoom_proto/{name}.py"
        for name in (
            *("asker_seal", "batch", "blind", "chain", "document", "dsse", "entry", "groupcommit"),
            *("hpke", "job_channel", "keys", "load", "load_faults", "load_order", "quota"),
            *("rpc_errors", "shares", "sm2", "tree", "formula/evaluate"),
        )
    ),
    *(
        f"models/saferoom_models/{name}"
        for name in (
            *("horizontal/aggregator.py", "horizontal/masks.py", "horizontal/messages.py"),
            *("horizontal/shamir.py", "horizontal/unmasking.py", "pooled/", "psi/messages.py"),
            *("psi/points.py", "psi/room_set.py", "vertical/foreign.py", "vertical/label_side.py"),
            *("vertical/measuring.py", "vertical/messages.py", "vertical/room_side.py"),
        )
    ),
    "clients/saferoom_client/standalone/",
)
"""What only a forged message or a broken program is told, and a receipt's verifier of one file."""


Code = Mapping[str, Sequence[ast.AST]]
"""All nodes of each module, by its place."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule where it is given, with a place `{name}` for each value."""

    module: str
    line: int
    text: str
    in_field: bool
    """Whether it stands in a field's fault."""


def rules(code: Code) -> Iterator[Rule]:
    """List all rules that modules give."""
    takers = {name: place for nodes in code.values() for name, place in _takers(nodes)}
    for module, nodes in code.items():
        given = _given(module, nodes, takers)
        yield from {(each.text, each.in_field): each for each in given}.values()


def unsaid(code: Code) -> Iterator[Rule]:
    """List the rules that people meet, and that have no Chinese."""
    speak(Language.ZH)
    for rule in rules(code):
        if _is_met(rule) and not _chinese(rule.text):
            yield rule


def shape(text: str) -> str:
    """Give a text with each of its values left out."""
    return re.sub(r"\{\w+\}", "{}", text)


def shapes(code: Code) -> set[str]:
    """List the shape of every text that stands in modules."""
    return {
        shape(text)
        for nodes in code.values()
        for node in nodes
        if isinstance(node, ast.expr)
        for text in _texts(node)
    }


def _is_met(rule: Rule) -> bool:
    if rule.module.startswith(FORGED):
        return False
    logged = rule.module.startswith(LOGGED) and not rule.module.startswith(STARTED)
    return rule.in_field or not logged


def _chinese(text: str) -> bool:
    """Tell whether a rule is said in Chinese; what is no sentence, as a field's name, may stay."""
    words = re.findall("[A-Za-z]{2,}", re.sub(r"\{\w+\}", "", text))
    if len(words) < _SENTENCE or text.startswith(("-", "saferoom ")):
        return True
    sample = re.sub(r"\{(\w+)\}", r"Q7\1", text)
    return bool(re.search("[\u4e00-\u9fff]", say_rule(sample) + say(text)))


def nodes_of(source: str | bytes) -> Sequence[ast.AST]:
    """Parse a module."""
    return tuple(ast.walk(ast.parse(source)))


def all_code() -> Code:
    """Read all code that gives rules."""
    lists = ("_met.py", "_pb2.py", "_pb2_grpc.py", "foreign_rules.py")
    paths = (path for place in PLACES for path in sorted((TOP / place).rglob("*.py")))
    return {
        str(path.relative_to(TOP)): nodes_of(path.read_bytes())
        for path in paths
        if not path.name.endswith(lists)
    }


def _takers(nodes: Sequence[ast.AST]) -> Iterator[tuple[str, int]]:
    """List the functions that take a rule, and its place."""
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names = [each.arg for each in (*node.args.posonlyargs, *node.args.args)]
            taken = names[1:] if names[:1] in (["self"], ["cls"]) else names
            yield from ((node.name, at) for at, name in enumerate(taken) if name in _HOLDERS)


def _given(module: str, nodes: Sequence[ast.AST], takers: dict[str, int]) -> Iterator[Rule]:
    in_fields = {id(each) for node in nodes for each in _fields(node)}
    for node in nodes:
        for held in _held(node, takers):
            named = isinstance(node, ast.Call) and _name(node.func) == "FieldFault"
            assigned = isinstance(node, ast.Assign) and _name(node.targets[0]) == "rule"
            for text in _texts(held):
                told = named or assigned or id(held) in in_fields
                yield Rule(module, held.lineno, text, told)


def _fields(node: ast.AST) -> Iterator[ast.AST]:
    """List all that stands in the fields that a refusal names."""
    if isinstance(node, ast.Call) and _name(node.func) == "SafeRoomError":
        yield from (within for each in node.args[2:] for within in ast.walk(each))


def _held(node: ast.AST, takers: dict[str, int]) -> Iterator[ast.expr]:
    """List what stands in a node as a rule."""
    match node:
        case ast.Raise(exc=ast.Call(func=func, args=args, keywords=keywords)):
            if _name(func) not in _NO_RULES:
                yield from (*args, *(each.value for each in keywords))
        case ast.Call(func=func, args=args, keywords=keywords):
            name = _name(func)
            if name.endswith("Error") and name not in _NO_RULES:
                yield from args
            elif name == "FieldFault":
                yield from args[1:]
            elif (at := takers.get(name)) is not None:
                yield from args[at : at + 1]
            yield from (each.value for each in keywords if each.arg in _HOLDERS)
        case ast.Assign(targets=[target], value=value):
            if _name(target) in _HOLDERS or _name(target).endswith("RULE"):
                yield value
        case _:
            pass


def _name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(value=value) | ast.Call(func=value):
            return _name(value)
        case _:
            return "value"


def _texts(node: ast.expr) -> Iterator[str]:
    """Give the texts that an expression can be."""
    match node:
        case ast.Constant(value=str() as text):
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "{" + _value(part) + "}"
                for part in parts
            )
        case ast.IfExp(body=one, orelse=other):
            yield from (*_texts(one), *_texts(other))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            lefts, rights = list(_texts(left)), list(_texts(right))
            yield from (
                one + other for one in lefts or ["{left}"] for other in rights or ["{right}"]
            )
        case _:
            pass


def _value(part: ast.expr) -> str:
    return _name(part.value) if isinstance(part, ast.FormattedValue) else "value"


def main() -> int:
    """Print what is not said in Chinese."""
    found = list(unsaid(all_code()))
    for rule in found:
        print(f"{rule.module}:{rule.line}: {rule.text}")
    return 1 if found else 0


if __name__ == "__main__":
    os.environ.pop("LANGUAGE", None)
    sys.exit(main())
