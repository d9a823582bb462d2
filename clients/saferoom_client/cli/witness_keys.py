"""Witnesses' keys as they are given on the command line: verifier keys, or files that hold them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from saferoom_client.files import read_file
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.base import field_faults
from saferoom_proto.statements.witnesses import WitnessPolicy

MAX_AGE_SECONDS: Final = 60
"""Witnesses look every 5 seconds; a minute passes over one that restarts."""


def read_witness_keys(texts: Iterable[str]) -> list[str]:
    """Read verifier keys, each given as it is or as a file's name.

    Raises:
        SafeRoomError: `BAD_CONFIG` for a file that is not there.
    """
    keys: list[str] = []
    for text in texts:
        whole = text if "+" in text else read_file(Path(text)).decode(errors="replace")
        keys += whole.split("\n")
    return [key for key in map(str.strip, keys) if key]


def make_policy(keys: list[str], threshold: int, max_age_seconds: int) -> WitnessPolicy:
    """Make a policy of what was given.

    Raises:
        SafeRoomError: `MALFORMED` naming what does not fit.
    """
    try:
        return WitnessPolicy(
            threshold=threshold, witnesses=tuple(keys), max_age_seconds=max_age_seconds
        )
    except ValidationError as error:
        raise SafeRoomError(Reason.MALFORMED, "witnesses", field_faults(error)) from None
