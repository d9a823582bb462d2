"""What everybody but the asker can see of a verdict: its release, its sealed bytes, the log."""

from __future__ import annotations

import json
import re
from typing import Final

from simulator.harness import Verdict

_RANDOM: Final = re.compile(
    r"sha256:[0-9a-f]{64}|ed25519:[0-9a-f]{32}|[A-Za-z0-9+/]{43}=|[A-Za-z0-9+/]{86}=="
)
"""Digests, key ids, keys and signatures: they differ by a key or nonce that was drawn anew."""


def public(verdict: Verdict, *, placed: bool = True) -> tuple[object, ...]:
    """Give all that can be seen, with what is random replaced by its length.

    Args:
        verdict: the enclave's.
        placed: with its place in the enclave's chain.
    """
    statement = verdict.judged.entry.statement
    release: dict[str, object] = json.loads(_masked(statement.payload.decode()))
    if not placed:
        del release["chain"]
    return (
        release,
        len(statement.payload),
        len(statement.to_json()),
        len(verdict.judged.sealed),
        len(verdict.judged.entry.salt),
    )


def masked_log(log: str) -> list[str]:
    """Give the operator's log without the time of day and what is random."""
    return [re.sub(r'"time": "[^"]*"', '"time": ""', _masked(line)) for line in log.splitlines()]


def _masked(text: str) -> str:
    return _RANDOM.sub(lambda found: "*" * len(found[0]), text)
