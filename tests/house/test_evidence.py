"""Evidence has one maker: the product of each step is made in one module and nowhere else.

That an answer which skipped a step does not type-check: `tests/enclaves/test_evidence_types.py`.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

MAKERS = {
    "saferoom": {"Caller": "identity.py", "Approved": "checks.py", "Recorded": "notary.py"},
    "enclaves/saferoom_enclaves": {
        "Admitted": "admit.py",
        "Charged": "charge.py",
        "Inquired": "appraise.py",
        "Appraised": "appraise.py",
        "Claimed": "claim.py",
        "Sealed": "gate.py",
        "Released": "gate.py",
        "AskedBatch": "batch_admit.py",
        "AdmittedRows": "batch_admit.py",
        "ChargedRows": "batch_charge.py",
        "SealedRows": "batch_gate.py",
        "ReleasedRows": "batch_gate.py",
    },
}


def makers(folder: Path, evidence: str) -> set[str]:
    """List the modules of a folder that call an evidence type."""
    return {
        path.name
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Call) and _called(node.func) == evidence
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
