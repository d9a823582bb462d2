"""The libraries of the extra `saferoom[modelling]`, asked for where a job needs them."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError


@contextmanager
def needing_extra(what: str) -> Generator[None]:
    """Say what to install where a library of the extra is not there.

    Raises:
        SafeRoomError: `NOT_INSTALLED`.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        step = 'pip install "saferoom[modelling]"'
        rule = f"{what} needs the extra: {step}"
        refusal = SafeRoomError(Reason.NOT_INSTALLED, rule, [FieldFault(what, rule)])
        refusal.add_note(step)
        raise refusal from error
