"""Witnesses' keys as they are given on the command line: verifier keys, or files that hold them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import ValidationError

from saferoom_client.files import read_file
from saferoom_client.tongue import later
from saferoom_proto.cosignature import CosignerKey
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements.base import field_faults
from saferoom_proto.statements.witnesses import WitnessPolicy

MAX_AGE_SECONDS: Final = 60
"""Witnesses look every 5 seconds; a minute passes over one that restarts."""


WitnessOption = Annotated[
    list[str],
    typer.Option(help="A witness's verifier key, or its file (witness.pub); repeat it."),
]
ThresholdOption = Annotated[
    int | None,
    typer.Option(min=1, help="How many of them must have cosigned; else more than half."),
]
AgeOption = Annotated[int, typer.Option(help="How many seconds ago at most.")]


def read_policy(
    texts: Sequence[str], threshold: int | None, max_age_seconds: int
) -> WitnessPolicy | None:
    """Make a policy of verifier keys, each given as it is or as a file's name; none of no keys.

    Raises:
        SafeRoomError: `BAD_CONFIG` for a file that is not there, `MALFORMED` naming what does not
            fit.
    """
    keys = [key for text in texts for key in _keys(text)]
    if not keys:
        return None
    try:
        return WitnessPolicy(
            threshold=threshold or len(keys) // 2 + 1,
            witnesses=tuple(keys),
            max_age_seconds=max_age_seconds,
        )
    except ValidationError as error:
        raise SafeRoomError(Reason.MALFORMED, "witnesses", field_faults(error)) from None


def _keys(text: str) -> list[str]:
    if "+" in text:
        return [_key(text.strip(), text)]
    lines = read_file(Path(text)).decode(errors="replace").split("\n")
    return [_key(line.strip(), f"{text}:{at}") for at, line in enumerate(lines, 1) if line.strip()]


def _key(text: str, place: str) -> str:
    """Give a verifier key, or name the file and the line in it that holds none."""
    try:
        CosignerKey.parse(text)
    except SafeRoomError as error:
        rule = later("not a witness's verifier key, NAME+ID+BASE64")
        refusal = SafeRoomError(Reason.MALFORMED, f"{place}: {rule}", [FieldFault(place, rule)])
        refusal.add_note(later("Give the witness.pub that the witness's folder holds."))
        raise refusal from error
    return text
