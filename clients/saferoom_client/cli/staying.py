"""Programs that stay until they are told to stop, and tell what happens line by line."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

import typer

from saferoom_client.cli.output import in_one_line, json_text, moment
from saferoom_client.cli.rules_said import say_rule
from saferoom_client.events import Event
from saferoom_client.tongue import later, say


def teller(as_json: bool) -> Callable[[Event], None]:
    """Give what prints an event, for people or for a program."""

    def tell(event: Event) -> None:
        now = datetime.now(UTC)
        if as_json:
            line = {"time": now.isoformat(), "event": event.what, "detail": event.detail}
            if event.command:
                line["command"] = event.command
            typer.echo(json_text(line))
        else:
            told = in_one_line(say_rule(event.detail))
            typer.echo(f"{moment(now)}  {say(event.what)}: {told}")
            if event.command:
                typer.echo(
                    say(
                        "  next  if `saferoom measure` of code that you trust gives this digest:"
                        " {command}",
                        command=in_one_line(event.command),
                    )
                )

    return tell


_HAPPENINGS: Final = (
    later("attending"),
    later("disconnected"),
    later("replaced"),
    later("released"),
    later("refused"),
    later("waiting"),
    later("starting"),
    later("listening"),
    later("ended"),
    later("cosigned"),
    later("followed"),
    later("unavailable"),
)
"""What happens (`Happening`), listed for translation."""


def run_until_told(program: Coroutine[object, object, None]) -> None:
    """Run a program until SIGTERM or SIGINT; then it ends what it began."""
    asyncio.run(_until_told(program))


async def _until_told(program: Coroutine[object, object, None]) -> None:
    task = asyncio.ensure_future(program)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await task
