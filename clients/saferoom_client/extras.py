"""The libraries of the extras, asked for where something needs them."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from enum import StrEnum

from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError


class Extra(StrEnum):
    """What can be installed beside the light client (`pyproject.toml`)."""

    OWNER = "owner"
    MODELLING = "modelling"
    REPORT = "report"


@contextmanager
def needing(extra: Extra, what: str) -> Generator[None]:
    """Say what to install where a library of an extra is not there.

    Args:
        extra: that brings the library.
        what: needs it, in words.

    Raises:
        SafeRoomError: `NOT_INSTALLED`.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        step = f'pip install "saferoom[{extra}]"'
        rule = f"{what} needs the extra: {step}"
        refusal = SafeRoomError(Reason.NOT_INSTALLED, rule, [FieldFault(what, rule)])
        refusal.add_note(step)
        raise refusal from error
