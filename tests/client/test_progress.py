"""The progress bar on a terminal: nobody knows at first of how much, and it must not fail then."""

from __future__ import annotations

import io

import pytest

from saferoom_client.cli.output import progress_of


class Terminal(io.StringIO):
    """A terminal that keeps what is written to it."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("quiet", [False, True])
def test_a_bar_is_drawn_before_and_after_its_total_is_known(
    monkeypatch: pytest.MonkeyPatch, quiet: bool
) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    bar, move = progress_of("entries", quiet=quiet)
    with bar:
        bar.refresh()
        move(1_500, 20_000)
        bar.refresh()
    shown = terminal.getvalue()
    assert ("0 / ?" in shown) == ("1,500 / 20,000" in shown) == (not quiet)
