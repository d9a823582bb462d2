"""Evaluate a PMML file with PMML4S, in a process of its own: it starts a Java machine.

python evaluate_pmml.py FILE     rows on standard input, a JSON list; what is told of each comes out
"""

from __future__ import annotations

import json
import sys
from typing import cast

from pypmml import Model


def main() -> None:
    """Evaluate every row."""
    model = Model.load(sys.argv[1])
    rows = cast("list[dict[str, object]]", json.load(sys.stdin))
    json.dump([dict(model.predict(row)) for row in rows], sys.stdout)


if __name__ == "__main__":
    main()
