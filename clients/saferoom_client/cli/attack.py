"""The attack suite that we publish, against a room of its own.

It is in the source checkout (`saferoom_attacks`), beside the client and not in it, and is imported
by its name when it is called for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, Protocol, cast

import typer

from saferoom_client.cli.options import JsonOption
from saferoom_client.cli.output import progress_of, show
from saferoom_client.cli.software import of_room
from saferoom_client.cli.tables import table
from saferoom_client.sandbox.run import until_stopped
from saferoom_client.tongue import Language, later, say, spoken
from saferoom_proto.reasons import SafeRoomError

FAILED: Final = 1
STOPPED: Final = 130
"""As shells report a program that Ctrl-C ended."""


STEPS: Final = (
    later("making everybody's keys"),
    later("starting the room and its enclave"),
    later("defining, loading, approving, agreeing"),
    later("the firms consent"),
)
"""What the suite says before it attacks (`saferoom_attacks/ground.py`, `suite.py`)."""


class _Run(Protocol):
    @property
    def held(self) -> bool: ...
    @property
    def whole(self) -> bool: ...
    def play(
        self,
        folder: Path | None,
        say: Callable[[str], None],
        progress: Callable[[str, int, int], None],
    ) -> None: ...
    def rows(self) -> Sequence[Sequence[str]]: ...
    def document(self) -> dict[str, object]: ...
    def markdown(self) -> str: ...


def attack(
    *,
    listing: Annotated[
        bool, typer.Option("--list", help="List the attacks, and attack nobody.")
    ] = False,
    only: Annotated[list[str], typer.Option(help="An attack by its name; repeat it.")] = [],  # noqa: B006 - Typer copies it
    seed: Annotated[int, typer.Option(help="The same seed asks the same.")] = 1,
    queries: Annotated[
        int, typer.Option(min=1, max=10_000_000, help="About how many questions to ask in all.")
    ] = 20_000,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Keep the attacked room in this folder.", file_okay=False),
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the table as the manual keeps it.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Attack a room of its own through the public interface, with valid certificates."""
    if listing:
        _show_list(as_json)
        return
    run = cast("_Run", _of_suite("Run")(only, seed, queries))
    bar, move = progress_of("questions", quiet=as_json)
    shown = _Steps(as_json or bar.console.is_terminal, move)
    with until_stopped(say("stopped before the end; nothing is left running")), bar:
        run.play(out, shown.opening, shown.asking)
    if not run.whole:
        raise typer.Exit(STOPPED)
    if markdown and not as_json:
        typer.echo(run.markdown())
    else:
        show(as_json, run.document(), *_lines(run))
    if not run.held:
        raise typer.Exit(FAILED)


class _Steps:
    """Tells how far a run is: by a bar in a terminal, by lines elsewhere."""

    def __init__(self, quiet: bool, move: Callable[[int, int], None]) -> None:
        self._quiet, self._move, self._last = quiet, move, ""

    def opening(self, step: str) -> None:
        """Tell what is done before the attacks."""
        if not self._quiet:
            typer.echo(f"  {say(step)}", err=True)

    def asking(self, name: str, asked: int, about: int) -> None:
        """Tell which attack asks, and how many questions were asked."""
        self._move(asked, about)
        if name != self._last:
            self._last = name
            self.opening(name)


def _of_suite(name: str) -> Callable[..., object]:
    """Give a part of the suite, which is no part of what `pip install` brings."""
    try:
        return of_room("saferoom_attacks.command", name)
    except SafeRoomError as error:
        error.add_note(later("Call it in a checkout of the source, after make setup."))
        raise


def _lines(run: _Run) -> list[str]:
    return [
        *table(
            (
                "ATTACK",
                "RIGHT",
                "BY PRIOR",
                "BITS GAINED",
                "BITS CHARGED",
                "BOUND",
                "WITHOUT: RIGHT, BITS",
                "QUESTIONS",
                "VERDICT",
            ),
            run.rows(),
        ),
        say("every bound held, and every attack succeeds where its protection is missing")
        if run.held
        else say("an attack passed its bound, or its control failed: see VERDICT"),
    ]


def _show_list(as_json: bool) -> None:
    attacks = cast("Sequence[Mapping[str, object]]", _of_suite("listed")())
    language = "zh" if spoken() is Language.ZH else "en"
    rows = [
        (
            str(each["name"]),
            *(
                cast("Mapping[str, str]", each[part])[language]
                for part in ("title", "bound", "control")
            ),
        )
        for each in attacks
    ]
    lines = table(("ATTACK", "WHAT IT DOES", "BOUND", "WHAT ITS CONTROL LACKS"), rows)
    show(as_json, {"attacks": list(attacks)}, *lines)
