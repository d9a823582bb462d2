"""The `saferoom` command.

A command's module is imported when it is called, so that help comes at once and the commands of a
light client need nothing of the room's own software.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Annotated, Final, NamedTuple, NoReturn, Protocol, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

from saferoom_client.cli.output import JSON_FLAG, print_error, wants_json
from saferoom_client.cli.usage_errors import USAGE, is_of_usage, usage_refusal
from saferoom_client.tongue import Language, language_of, later, say, speak
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

FAILED: Final = 1


class Entry(NamedTuple):
    """A command: where it is, and one line about it."""

    place: str
    about: str


COMMANDS: Final = {
    "demo": Entry("saferoom_client.demo:run", "Open a room and run the main job."),
    "sandbox": Entry("saferoom_client.sandbox.run:run", "Open a room of made-up firms to test by."),
    "city": Entry("city:city", "Make a city's records, of firms that do not exist."),
    "attack": Entry("attack:attack", "Attack a room of its own, and see what holds."),
    "room": Entry("room:app", "Make and run a room; see how it does."),
    "issuer": Entry("issuer:app", "Name people, systems and subjects."),
    "org": Entry("org:app", "Enrol and list organisations."),
    "whoami": Entry("org:whoami", "Ask whom the room takes you for."),
    "trust": Entry("trust:app", "Pin the charter roots of owners."),
    "agent": Entry("agent:app", "Hold an owner's store key."),
    "enclave": Entry("enclave:app", "Run an owner's enclave on its premises."),
    "relay": Entry("relay:app", "Connect an owner's enclave to the room."),
    "broker": Entry("broker:app", "Ask a provider's interface for an enclave."),
    "charter": Entry("charter:app", "Write and show charters."),
    "catalogue": Entry("catalogue:app", "See what records the plan asks for."),
    "schema": Entry("feature:schema_app", "Hand in the tables of a store."),
    "feature": Entry("feature:app", "Try, add and list features."),
    "data": Entry("data:app", "Load data, list its versions, go back."),
    "template": Entry("template:app", "Propose, judge and approve templates."),
    "agreement": Entry("agreement:app", "Agree on the use of data."),
    "consent": Entry("consent:app", "Grant and take back consents."),
    "mine": Entry("mine:mine", "See what is held about you, and who used it."),
    "dispute": Entry("dispute:app", "Say that a use or a record is wrong, and answer."),
    "check": Entry("check:check", "Ask a check about one subject."),
    "cost": Entry("cost:cost", "See what a check would cost."),
    "job": Entry("job:app", "Train a model together with an owner."),
    "report": Entry("report:app", "Ask for what is public about one subject."),
    "listing": Entry("listing:app", "Ask who of a district stands on a public register."),
    "score": Entry("score:app", "Score with a trained model."),
    "scorecard": Entry("scorecard:app", "Make and use scorecards of your own rows."),
    "federation": Entry("federation:app", "Train a model together with other banks."),
    "stats": Entry("stats:app", "Ask for tables about all subjects."),
    "uses": Entry("uses:uses", "See what your data was used for."),
    "receipt": Entry("receipt:app", "Verify and show receipts, offline."),
    "log": Entry("log:app", "Verify the room's log."),
    "witness": Entry("witness:app", "Watch the log and cosign it."),
    "audit": Entry("audit:app", "Audit the log, trusting nobody in the room."),
    "pause": Entry("pause:pause", "Stop a use of your data at once."),
    "resume": Entry("pause:resume", "Let a paused use go on, with m of n."),
    "measure": Entry("agent:measure", "Give the digests of this code."),
}


class _Root(TyperGroup):
    """Lists commands without importing them, and turns refusals into words and exit codes."""

    # Typer has its own copy of Click, whose context type is not for others to name.

    _as_json: bool = False
    """Whether a program reads along, by what was typed."""

    def main(self, *args: object, **settings: object) -> object:
        """Speak the user's language from the first word on."""
        speak(language_of(os.environ))
        given = settings.get("args") or (args[0] if args else None)
        self._as_json = JSON_FLAG in cast("Sequence[str]", given or sys.argv[1:])
        return cast("object", super().main(*args, **settings))  # pyright: ignore[reportArgumentType]

    def make_context(self, *args: object, **settings: object) -> typer.Context:
        """Read the options that stand before every command."""
        try:
            made = super().make_context(*args, **settings)  # pyright: ignore[reportArgumentType]
        except TyperException as error:
            self._refuse_usage(error)
        return cast("typer.Context", made)

    def format_help(self, ctx: object, formatter: object) -> None:
        """Show the help of the whole."""
        translated(self)
        super().format_help(ctx, formatter)  # pyright: ignore[reportArgumentType]

    def list_commands(self, ctx: object) -> list[str]:
        """Name the commands in the order of their use."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: object, cmd_name: str) -> TyperCommand | None:
        """Give what a list of commands shows of one."""
        del ctx
        entry = COMMANDS.get(cmd_name)
        return None if entry is None else TyperCommand(cmd_name, help=say(entry.about))

    def resolve_command(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, ctx: typer.Context, args: list[str]
    ) -> tuple[str | None, TyperCommand | None, list[str]]:
        """Import the command that was called."""
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None:
            command = translated(load_command(name))
        return name, cast("TyperCommand | None", command), rest

    def invoke(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, ctx: typer.Context
    ) -> object:
        """Run the command, and turn what is refused into words."""
        try:
            return cast("object", super().invoke(ctx))
        except TyperException as error:
            self._refuse_usage(error)
        except SafeRoomError as error:
            print_error(error, as_json=wants_json(ctx))
        except BrokenPipeError:
            _stop_printing()
        except OSError as error:
            print_error(_system_error(error), as_json=wants_json(ctx))
        except ValueError as error:
            print_error(_input_error(error), as_json=wants_json(ctx))
        raise typer.Exit(FAILED)

    def _refuse_usage(self, error: TyperException) -> NoReturn:
        """Say what was typed wrongly, as every other refusal is said."""
        if not is_of_usage(error):
            raise error
        # `--json` may stand behind what was wrong: Typer never came to it.
        print_error(usage_refusal(error), as_json=self._as_json)
        raise typer.Exit(USAGE)


app = typer.Typer(
    cls=_Root,
    name="saferoom",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="A data safe room: usable, never visible.",
)


def _change_language(language: Language | None) -> Language | None:
    if language is not None:
        speak(language)
    return language


def _say_version(asked: bool) -> None:
    if asked:
        # Imported only here: nothing else that is done at once needs it.
        from importlib.metadata import version  # noqa: PLC0415

        typer.echo(f"saferoom {version('saferoom')}")
        raise typer.Exit


@app.callback()
def root(
    lang: Annotated[
        Language | None,
        typer.Option(
            help="What to speak; else what SAFEROOM_LANG or the locale says.",
            callback=_change_language,
            is_eager=True,
        ),
    ] = None,
    version: Annotated[
        bool,
        typer.Option("--version", help="Tell the version.", callback=_say_version, is_eager=True),
    ] = False,
) -> None:
    """Come before every command."""
    del lang, version


def main() -> None:
    """Run the command line."""
    # gRPC's C core writes what it meets to standard error, line by line; we say it in our words.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    app()


def load_command(name: str) -> object:
    """Import a command, or a group of commands, by its name."""
    module_name, _, attribute = COMMANDS[name].place.partition(":")
    if "." not in module_name:
        module_name = f"{__name__}.{module_name}"
    target = cast("object", getattr(_imported(module_name), attribute))
    if isinstance(target, typer.Typer):
        return typer.main.get_command(target)
    single = typer.Typer(add_completion=False)
    single.command(name)(target)  # pyright: ignore[reportArgumentType]
    return typer.main.get_command(single)


def _imported(module_name: str) -> ModuleType:
    try:
        return import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name:
            raise
        # What needs a checkout is not in the wheel (`pyproject.toml`).
        missing = SafeRoomError(Reason.BAD_CONFIG, later("the demo is not installed"))
        missing.add_note(later("Call it in a checkout of the source, after make setup."))
        raise missing from error


class _Shown(Protocol):
    """What a command, an argument or an option shows of itself."""

    help: str | None


class _Command(_Shown, Protocol):
    """A command as Typer makes it of a function."""

    params: list[_Shown]
    options_metavar: str | None
    subcommand_metavar: str
    """Of a group only."""
    get_help_option: Callable[[object], _Shown | None]
    get_usage: Callable[[object], str]
    format_help: Callable[[object, object], None]


def commands_in(command: object) -> Iterator[_Command]:
    """Give a command and all that are below it."""
    yield cast("_Command", command)
    below: dict[str, object] = getattr(command, "commands", {})
    for inner in below.values():
        yield from commands_in(inner)


def translated(command: object) -> object:
    """Put a command's help into the language that is spoken; it was made for this one call."""
    for each in commands_in(command):
        for shown in (each, *each.params):
            shown.help = say(shown.help or "")
        each.options_metavar = say(each.options_metavar or "") or None
        if hasattr(each, "subcommand_metavar"):
            each.subcommand_metavar = say(each.subcommand_metavar)
        each.get_help_option = partial(_help_option, each.get_help_option)
        each.get_usage = partial(_usage, each.get_usage)
        each.format_help = partial(_whole_help, each.format_help)
    return command


def _whole_help(show: Callable[[object, object], None], context: object, formatter: object) -> None:
    """Show a help page with every word of it."""
    from saferoom_client.cli.help_pages import fold_long_words  # noqa: PLC0415 - for help only

    fold_long_words()
    show(context, formatter)


def _usage(make: Callable[[object], str], context: object) -> str:
    """Make the line that shows how a command is typed, which Typer begins in English."""
    usage = later("Usage: ")
    return make(context).replace(usage, say(usage), 1)


def _help_option(make: Callable[[object], _Shown | None], context: object) -> _Shown | None:
    """Make the option that shows help, which Typer makes only when it is asked for."""
    option = make(context)
    if option is not None:
        option.help = say(option.help or "")
    return option


def _input_error(error: ValueError) -> SafeRoomError:
    """Name the values that a statement or a file of the user's may not hold."""
    # Imported only here: help and completion need nothing of it.
    from pydantic import ValidationError  # noqa: PLC0415

    from saferoom_proto.statements.base import field_faults  # noqa: PLC0415

    if not isinstance(error, ValidationError):
        raise error
    return SafeRoomError(Reason.MALFORMED, "an argument is not usable", field_faults(error))


def _stop_printing() -> None:
    """Say nothing more: whoever reads along, as `head` does, has read enough."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())  # what is still buffered is flushed at the end
    os.close(nowhere)


def _system_error(error: OSError) -> SafeRoomError:
    """Name the file that the operating system refused."""
    place = str(error.filename) if error.filename is not None else "this computer"
    rule = error.strerror or type(error).__name__
    return SafeRoomError(Reason.BAD_CONFIG, f"{place}: {rule}", [FieldFault(place, rule)])
