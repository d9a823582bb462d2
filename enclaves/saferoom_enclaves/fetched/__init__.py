"""Records that are asked for, one subject at a time, of a provider's interface.

    wanted    a question that would be answered names what it needs (`wanting.py`)   Needed
    asked     the owner's broker, outside of the sandbox, asks the provider (`broker.py`)
    read      a child holds the answer to the tables and computes cells (`answer.py`)
    kept      sealed, until its period is over (`kept.py`)
    judged    as any question is: charged, and answered from cells (`records.py`, `judge.py`)

Only the third step sees a value. Nothing is charged before the fourth, and nothing is asked for
without the consent that the question needs.
"""

from __future__ import annotations

from typing import Final

MOST_BYTES: Final = 1 << 20
"""Of one answer: some 5,000 invoices."""
