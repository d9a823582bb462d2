"""Evidence has one maker: the product of each step is made in one module and nowhere else.

That an answer which skipped a step does not type-check: `tests/enclaves/test_evidence_types.py`.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

SERVER = "saferoom"
ENCLAVE = "enclaves/saferoom_enclaves"
MAKERS = {
    SERVER: {"Caller": "identity.py", "Approved": "checks.py", "Recorded": "notary.py"},
    ENCLAVE: {
        "Asked": "admit.py",
        "AskedList": "admit.py",
        "Admitted": "admit.py",
        "Charged": "charge.py",
        "Inquired": "appraise.py",
        "Appraised": "appraise.py",
        "Claimed": "claim.py",
        "Sealed": "gate.py",
        "Released": "gate.py",
        "AskedBatch": "batches/admit.py",
        "AdmittedRows": "batches/admit.py",
        "ChargedRows": "batches/charge.py",
        "SealedRows": "batches/gate.py",
        "ReleasedRows": "batches/gate.py",
        "AskedTable": "tables/admit.py",
        "AdmittedTable": "tables/admit.py",
        "ChargedTable": "tables/charge.py",
        "SealedTables": "tables/gate.py",
        "ReleasedTables": "tables/gate.py",
        "AdmittedReport": "reports/admit.py",
        "SealedReport": "reports/gate.py",
        "ReleasedReport": "reports/gate.py",
        "AskedJob": "jobs/admit.py",
        "AdmittedJob": "jobs/admit.py",
        "ChargedJob": "jobs/charge.py",
        "SealedModel": "jobs/gate.py",
        "ReleasedJob": "jobs/gate.py",
        "SealedColumns": "jobs/columns.py",
        "ReleasedColumns": "jobs/columns.py",
        "Needed": "fetched/wanting.py",
        "AskedFit": "fits/admit.py",
        "AdmittedFit": "fits/admit.py",
        "ChargedFit": "fits/charge.py",
        "SealedFit": "fits/gate.py",
        "ReleasedFit": "fits/gate.py",
    },
}


@cache
def calls(folder: Path) -> Mapping[str, set[str]]:
    """List what a folder's modules call by name, with the modules that do."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Call):
                found[_called(node.func)].add(path.relative_to(folder).as_posix())
    return dict(found)


def makers(folder: Path, evidence: str) -> set[str]:
    """List the modules of a folder that call an evidence type."""
    return calls(folder).get(evidence, set())


def kinds(folder: Path) -> dict[str, str]:
    """List an enclave's kinds of evidence, with the modules that define them."""
    return {
        node.name: path.relative_to(folder).as_posix()
        for path in folder.rglob("*.py")
        for node in ast.parse(path.read_bytes()).body
        if isinstance(node, ast.ClassDef)
        and {_called(base) for base in node.bases} & {"Evidence", "Hidden"}
        and node.name != "Hidden"
    }


def _called(function: ast.expr) -> str:
    if isinstance(function, ast.Subscript):
        return _called(function.value)
    if isinstance(function, ast.Attribute):
        return _called(function.value) if function.attr == "_make" else function.attr
    return function.id if isinstance(function, ast.Name) else ""


@pytest.mark.parametrize(
    ("folder", "evidence", "maker"),
    [(folder, *pair) for folder, pairs in MAKERS.items() for pair in pairs.items()],
)
def test_evidence_has_one_maker(root: Path, folder: str, evidence: str, maker: str) -> None:
    assert makers(root / folder, evidence) == {maker}


def test_no_kind_of_evidence_is_left_out(root: Path) -> None:
    assert kinds(root / ENCLAVE) == MAKERS[ENCLAVE]
    of_server = ast.parse((root / "saferoom" / "evidence.py").read_bytes()).body
    final = {
        node.name
        for node in of_server
        if isinstance(node, ast.ClassDef)
        and any(isinstance(each, ast.Name) and each.id == "final" for each in node.decorator_list)
    }
    assert final == MAKERS[SERVER].keys()


def test_the_map_of_evidence_shows_every_kind(root: Path) -> None:
    shown = ast.get_docstring(ast.parse((root / ENCLAVE / "evidence.py").read_bytes())) or ""
    words = set(re.findall(r"\w+", shown))
    assert MAKERS[ENCLAVE].keys() - words == set()
