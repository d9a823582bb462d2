"""What commands print: for people, or with `--json` one document for programs.

An error has three parts: the rule that was broken, the place, and the next step.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TextIO
from unicodedata import category, combining, east_asian_width

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from saferoom_client.cli.rules_said import say_place, say_rule
from saferoom_client.tongue import later, say
from saferoom_proto.reasons import Reason, SafeRoomError

_JSON: Final = "saferoom.json"
_NO_ROLE: Final = later("Change what is named; it is no matter of your role.")
JSON_FLAG: Final = "--json"


def remember_json(context: typer.Context, value: bool) -> bool:
    """Note, for errors too, that a program reads along."""
    if value:
        context.meta[_JSON] = True
    return value


def wants_json(context: typer.Context) -> bool:
    """Tell whether the command was called with `--json`."""
    return bool(context.meta.get(_JSON))


@dataclass(frozen=True, slots=True)
class Shown:
    """A result before it is printed: the document for a program, and the lines for people."""

    document: dict[str, object]
    lines: tuple[str, ...]

    def __add__(self, more: Shown) -> Shown:
        """Give both as one."""
        return Shown({**self.document, **more.document}, (*self.lines, *more.lines))

    def print(self, *, as_json: bool) -> None:
        """Print it."""
        show(as_json, self.document, *self.lines)


def show(as_json: bool, document: object, *lines: str) -> None:
    """Print a result: the document for a program, or the lines for people."""
    if as_json:
        typer.echo(json_text(document, indent=1))
        return
    for line in lines:
        typer.echo(as_written(line))


def json_text(document: object, indent: int | None = None) -> str:
    """Write JSON in which whatever changes how a terminal shows the rest stands escaped."""
    text = json.dumps(document, ensure_ascii=False, indent=indent, default=str)
    if text.replace("\n", "").isprintable():
        return text
    # A line feed here is one of the indentation: in a string it is escaped already.
    return "".join(
        one if one == "\n" or category(one) not in _HIDDEN else json.dumps(one)[1:-1]
        for one in text
    )


def as_written(text: str) -> str:
    """Give what changes how a terminal shows the rest by its number: others wrote the text.

    Lines stay lines; whoever prints one thing in one line uses `in_one_line`.
    """
    if text.isprintable():
        return text
    return "".join(
        one if one in "\n\t" or category(one) not in _HIDDEN else _number(one) for one in text
    )


def in_one_line(text: str) -> str:
    """Give a text so that none of it looks like a line of ours."""
    return as_written(text).replace("\n", "\\n")


def _number(character: str) -> str:
    return character.encode("unicode_escape").decode()


_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def show_units(as_json: bool, written: Sequence[Path], folder: Path, user: str) -> None:
    """Print which units were written, and how they come to run."""
    unit = written[0].name
    show(
        as_json,
        {"written": [str(path) for path in written], "user": user},
        *(say("wrote {path}", path=path) for path in written),
        say(
            "next: useradd --system {user}; chown -R {user}: {folder};"
            " cp -r {units}/{unit}* /etc/systemd/system/; systemctl enable --now {unit}",
            user=user,
            folder=folder.absolute(),
            units=written[0].parent,
            unit=unit,
        ),
    )


def columns_of(text: str) -> int:
    """Count columns: Chinese characters take two, combining marks none (Unicode, annex 11)."""
    return sum(
        0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text
    )


def moment(instant: datetime) -> str:
    """Write an instant in UTC and in local time."""
    utc, local = instant.astimezone(UTC), instant.astimezone()
    shown = f"{utc:%Y-%m-%d %H:%M:%S} UTC"
    if not local.utcoffset():
        return shown
    return say("{shown} ({local:%Y-%m-%d %H:%M:%S %z} local)", shown=shown, local=local)


def error_document(error: SafeRoomError) -> dict[str, object]:
    """Write an error for a program."""
    words = error.words
    told: dict[str, object] = {
        "reason": str(error.reason),
        "rule": words.what,
        "places": [{"field": one.field, "rule": one.rule} for one in error.fields],
        "detail": error.detail,
        "next_step": _next_step(error),
    }
    if notes := notes_of(error):
        told["steps"] = notes
    for name in ("request_id", "owner", "retry_seconds"):
        if value := getattr(error, name, ""):
            told[name] = value
    return {"error": told}


def notes_of(error: SafeRoomError) -> list[str]:
    """Give the next steps that were noted on an error (PEP 678), if any were."""
    return list(getattr(error, "__notes__", ()))


def _next_step(error: SafeRoomError) -> str:
    """Give the step that follows from a refusal's reason."""
    if error.reason is Reason.NOT_ALLOWED and error.fields:
        return _NO_ROLE  # who lacks a role is told so without a place
    return error.words.next_step


def print_error(error: SafeRoomError, *, as_json: bool) -> None:
    """Print a refusal: the rule, the place, the next step."""
    if as_json:
        show(True, error_document(error))
        return
    words = error.words
    lines = [f"{error.reason}: {say(words.what)}"]
    places = [
        f"{in_one_line(say_place(fault.field))}: {say_rule(fault.rule)}" for fault in error.fields
    ]
    if error.detail and not places and error.detail != _REMOTE:
        places = [say_rule(error.detail)]
    lines += [say("  at    {place}", place=place) for place in places]
    if owner := getattr(error, "owner", ""):
        lines.append(say("  by    the enclave of {owner}", owner=owner))
    for step in notes_of(error) or [_next_step(error)]:
        lines.append(say("  next  {step}", step=say(step)))
    if (quota := getattr(error, "quota", None)) is not None:
        lines.append(
            say(
                "  held  {held} of the {limit} that may be under way",
                held=quota.held,
                limit=quota.limit,
            )
        )
    if (seconds := getattr(error, "retry_seconds", None)) is not None:
        lines.append(say("  after {seconds:.1f} seconds", seconds=seconds))
    if request_id := getattr(error, "request_id", ""):
        lines.append(say("  id    {request_id}", request_id=request_id))
    for line in lines:
        # What the other side said, or a file, begins no line of its own.
        typer.echo(as_written(line).replace("\n", "\n        "), err=True)


_REMOTE: Final = "told by the other side"


class _Counts(ProgressColumn):
    """How much of how much; at first nobody knows of how much."""

    def render(self, task: Task) -> Text:
        """Write both, thousands apart."""
        total = "?" if task.total is None else f"{task.total:,.0f}"
        return Text(f"{task.completed:,.0f} / {total}")


def progress_of(what: str, *, quiet: bool) -> tuple[Progress, Callable[[int, int], None]]:
    """Make a progress bar on standard error, and what moves it; silent for programs."""
    stream: TextIO = sys.stderr
    bar = Progress(
        TextColumn(say(what)),
        BarColumn(),
        _Counts(),
        TimeRemainingColumn(),
        console=Console(file=stream),
        transient=True,
        disable=quiet or not stream.isatty(),
    )
    task = bar.add_task(what, total=None)

    def move(done: int, total: int) -> None:
        bar.update(task, completed=done, total=total or None)  # zero: nobody knows

    return bar, move


@contextmanager
def saying_how_to_go_on() -> Generator[None]:
    """Say to whoever presses Ctrl-C that nothing is lost."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(say("stopped; type the same again, and it goes on where it was"), err=True)
        raise


def mapping(document: Mapping[str, object]) -> list[str]:
    """Lay out names and values in two columns."""
    said = {say(name): value for name, value in document.items()}
    width = max((columns_of(name) for name in said), default=0)
    return [f"{name}{' ' * (width - columns_of(name))}  {value}" for name, value in said.items()]
