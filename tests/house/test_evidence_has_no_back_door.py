"""Evidence comes from its maker alone: not renamed, not copied, not with a borrowed right.

`test_evidence.py` looks for calls by name; here is what would get past it. What would skip a step
in the server does not type-check; for the enclave that is `tests/enclaves/test_evidence_types.py`.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from tests.house.test_evidence import ENCLAVE, MAKERS

EVIDENCE = {kind for made in MAKERS.values() for kind in made}
COPIES = {"replace", "copy", "deepcopy", "__new__", "__replace__", "__setattr__", "_replace"}

LEAKS = {
    "an answer that was not recorded": (
        "from saferoom import wire\n"
        "from saferoom.refusals import Word\n"
        "def leak(word: Word) -> object:\n"
        "    return wire.parts([word])\n"
    ),
    "a statement that was not recorded": (
        "from saferoom import wire\n"
        "from saferoom_proto.dsse import Envelope\n"
        "def leak(statement: Envelope) -> object:\n"
        "    return wire.recorded(statement)\n"
    ),
    "an enclave's word that was not recorded": (
        "from saferoom import wire\n"
        "from saferoom.exchange import Judged\n"
        "def leak(judged: Judged) -> object:\n"
        "    return wire.check_response('', [judged], [])\n"
    ),
    "a recorded statement in the place of a recorded answer": (
        "from saferoom import wire\n"
        "from saferoom.evidence import Recorded\n"
        "def leak(other: Recorded[None]) -> object:\n"
        "    return wire.parts([other])\n"
    ),
    "a question of nobody": (
        "from saferoom.checks import Checks\n"
        "from saferoom_proto.dsse import Envelope\n"
        "async def leak(checks: Checks, question: Envelope) -> object:\n"
        "    return await checks.check('bank-a', question)\n"
    ),
    "evidence of nothing": (
        "from saferoom.evidence import Recorded\n"
        "def leak() -> Recorded[None]:\n"
        "    return Recorded()\n"
    ),
    "a caller who names himself": (
        "from saferoom.evidence import Caller, Role\n"
        "def leak(caller: Caller) -> None:\n"
        "    caller.roles = frozenset({Role.OPERATOR})\n"
    ),
}
HONEST = (
    "from saferoom import wire\n"
    "from saferoom.evidence import Recorded\n"
    "from saferoom.refusals import Word\n"
    "def honest(word: Recorded[Word]) -> object:\n"
    "    return wire.check_response('', [word], [])\n"
)


@cache
def modules(root: Path) -> Sequence[tuple[Path, ast.Module]]:
    """Give the server's and the enclaves' modules, parsed."""
    return [
        (path, ast.parse(path.read_bytes()))
        for folder in (root / "saferoom", root / "enclaves")
        for path in sorted(folder.rglob("*.py"))
    ]


def rights(root: Path) -> list[tuple[str, str]]:
    """List each right to make evidence, by its name, with the module that keeps it."""
    found: list[tuple[str, str]] = []
    for path in sorted((root / ENCLAVE).rglob("*.py")):
        body = ast.parse(path.read_bytes()).body
        classes = {
            node.name
            for node in body
            if isinstance(node, ast.ClassDef) and "Right" in map(named, node.bases)
        }
        for node in body:
            match node:
                case ast.AnnAssign(ast.Name(name), value=ast.Call(ast.Name(made))) | ast.Assign(
                    [ast.Name(name)], ast.Call(ast.Name(made))
                ) if made in classes:
                    found.append((name, path.relative_to(root / ENCLAVE).as_posix()))
                    classes.discard(made)
                case _:
                    pass
        assert not classes, f"{path.name} does not keep its rights: {classes}"
    return found


def imported(tree: ast.Module) -> Iterator[ast.alias]:
    """Give every name that a module imports from another; messages are no evidence."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not (node.module or "").endswith("_pb2"):
            yield from node.names


def named(node: ast.AST) -> str | None:
    """Give the name by which a piece of code refers to something."""
    match node:
        case ast.Name(name) | ast.Attribute(attr=name):
            return name
        case _:
            return None


def test_evidence_goes_by_its_own_name(root: Path) -> None:
    renamed = [
        (path.name, alias.name)
        for path, tree in modules(root)
        for alias in imported(tree)
        if alias.name in EVIDENCE and alias.asname is not None
    ]
    assert renamed == []


def test_the_right_to_make_evidence_stays_in_its_module(root: Path) -> None:
    kept = rights(root)
    # Every kind has its right, each of a name of its own: else the next lines would not tell them.
    assert sorted(module for _, module in kept) == sorted(MAKERS[ENCLAVE].values())
    names = {name for name, _ in kept}
    assert len(names) == len(kept)
    seen = {
        (name, path.relative_to(root).as_posix())
        for path, tree in modules(root)
        for name in (
            *(alias.name for alias in imported(tree)),
            *filter(None, map(named, ast.walk(tree))),
        )
        if name in names
    }
    assert seen == {(name, f"{ENCLAVE}/{module}") for name, module in kept}


def test_no_module_that_holds_evidence_makes_things_by_copying(root: Path) -> None:
    copied = [
        (path.name, node.lineno)
        for path, tree in modules(root)
        if any(alias.name in EVIDENCE for alias in imported(tree))
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and named(node.func) in COPIES
        and not (isinstance(node.func, ast.Attribute) and len(node.args) > 1)  # str.replace
    ]
    assert copied == []


def test_an_answer_that_skipped_a_step_at_the_server_does_not_type_check(
    root: Path, tmp_path: Path
) -> None:
    for number, code in enumerate(LEAKS.values()):
        (tmp_path / f"leak_{number}.py").write_text(code, "utf-8")
    (tmp_path / "honest.py").write_text(HONEST, "utf-8")
    config = {
        "typeCheckingMode": "strict",
        "pythonVersion": "3.11",
        "extraPaths": [str(root), str(root / "proto")],
        "reportUnusedExpression": "none",
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(config), "utf-8")
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "-p", str(tmp_path)]
    run = subprocess.run(
        [*command, "--pythonpath", sys.executable], capture_output=True, check=False, text=True
    )
    found = {Path(each["file"]).name for each in json.loads(run.stdout)["generalDiagnostics"]}
    assert found == {f"leak_{number}.py" for number in range(len(LEAKS))}
