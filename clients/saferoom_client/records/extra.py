"""The libraries of the extra `saferoom[owner]`, asked for where a file needs them."""

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
        rule = f'{what} needs the extra: pip install "saferoom[owner]"'
        raise SafeRoomError(Reason.NOT_INSTALLED, rule, [FieldFault(what, rule)]) from error
