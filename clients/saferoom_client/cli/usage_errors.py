"""A command that was not typed as it takes it: what is wrong, where, and what to type next.

Typer shows these in a box, half of it in English in every language, and to programs too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol, cast

from typer.exceptions import TyperException

from saferoom_client.tongue import later
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

USAGE: Final = 2
"""The exit status, by the custom of Unix commands."""


class _Context(Protocol):
    """Where Typer was: its own type is not for others to name."""

    command_path: str


class _Parameter(Protocol):
    """What was given wrongly."""

    opts: Sequence[str]
    envvar: str | Sequence[str] | None

    @property
    def param_type_name(self) -> str:
        """Tell an option from an argument."""
        ...

    def get_error_hint(self) -> str:
        """Name an argument as help does."""
        ...


def is_of_usage(error: TyperException) -> bool:
    """Tell an error of usage from one whose message is a whole help page."""
    return error.exit_code == USAGE and type(error).__name__ != "NoArgsIsHelpError"


def usage_refusal(error: TyperException) -> SafeRoomError:
    """Make the refusal of a command that was not typed as it takes it."""
    parameter = cast("_Parameter | None", getattr(error, "param", None))
    place, rule = "" if parameter is None else _place(parameter), error.message
    if type(error).__name__ == "MissingParameter":
        rule = later("missing")
        variable = None if parameter is None else parameter.envvar
        if isinstance(variable, str):
            rule = f"missing; it can stand in {variable} too"
    elif (option := getattr(error, "option_name", None)) and type(error).__name__ == "NoSuchOption":
        place, rule = str(option), later("there is no such option")
        if near := cast("Sequence[str]", getattr(error, "possibilities", None) or ()):
            rule = f"there is no such option; near it: {', '.join(sorted(near))}"
    faults = [FieldFault(place, rule)] if place else []
    refusal = SafeRoomError(Reason.MALFORMED, rule, faults)
    context = cast("_Context | None", getattr(error, "ctx", None))
    refusal.add_note(f"{'saferoom' if context is None else context.command_path} --help")
    return refusal


def _place(parameter: _Parameter) -> str:
    """Name an option as it is typed, an argument as help names it."""
    if parameter.param_type_name == "option":
        return max(parameter.opts, key=len)
    return parameter.get_error_hint().strip("'")
