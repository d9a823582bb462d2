"""The room's own software, imported by name when a command asks for it: a light client has none."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import cast

from saferoom_proto.reasons import Reason, SafeRoomError


def of_room(module: str, name: str) -> Callable[..., object]:
    """Give a function of the room's own software.

    Raises:
        SafeRoomError: `NOT_INSTALLED` in a light client.
    """
    try:
        return cast("Callable[..., object]", getattr(import_module(module), name))
    except ModuleNotFoundError as error:
        raise SafeRoomError(Reason.NOT_INSTALLED, f"there is no module {error.name}") from error
