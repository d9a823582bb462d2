"""What the demo shows while it runs: a heading for each act, a line for each event."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.panel import Panel

from saferoom_client.demo.data import SOURCE
from saferoom_client.tongue import say

_MARKS: Final = {"yes": "green", "no": "yellow", "not_found": "cyan"}


@dataclass(slots=True)
class Screen:
    """A console, and when the demo began."""

    console: Console = field(default_factory=Console)
    _began: float = field(default_factory=time.monotonic)
    _act: int = 0

    def open(self, folder: str) -> None:
        """Say what will be seen, and whose records these are."""
        self.console.print(
            Panel.fit(
                say(
                    "[bold]Saferoom[/]: usable, never visible\n\n"
                    "Real records: {source}.\n"
                    "30,000 rows. They are [bold]persons who stand in for firms[/], under made-up\n"
                    "unified social credit codes of region 990000, which exists nowhere.\n\n"
                    "Everything happens in [bold]{folder}[/], with real processes and real calls.",
                    source=SOURCE,
                    folder=folder,
                ),
                title=say("demo"),
            )
        )

    def act(self, title: str) -> None:
        """Begin an act."""
        self._act += 1
        self.console.print(f"\n[bold]{self._act}. {title}[/]  [dim]{self.seconds:.1f} s[/]")

    def done(self, line: str) -> None:
        """Show something that was done."""
        self.console.print(f"   [green]✓[/] {line}")

    def answered(self, question: str, truth: str, note: str) -> None:
        """Show an answer."""
        self.console.print(f"   [green]✓[/] {question} → [bold {_MARKS[truth]}]{truth}[/]  {note}")

    def refused(self, attempt: str, reason: str, note: str = "") -> None:
        """Show a refusal that had to come."""
        self.console.print(f"   [red]✗[/] {attempt} → [bold red]{reason}[/]  [dim]{note}[/]")

    def close(self, folder: Path) -> None:
        """Say what is left, and what to try next."""
        bank = folder / "members" / "bank-a" / "desk"
        auditor = folder / "members" / "auditor" / "desk"
        commands = (
            f"saferoom room serve {folder}/room",
            f"saferoom agent run {folder}/owners/repay/agent",
            f"saferoom agent run {folder}/owners/bills/agent",
            f"saferoom room status --profile {bank}",
            f"saferoom template show steady-payer --profile {bank}",
            f"saferoom receipt verify {folder}/receipts/steady.json --profile {auditor}",
            f"saferoom audit verify --profile {auditor}",
        )
        done = say(
            "[bold]Done in {seconds:.0f} s.[/] The room is in {folder}.",
            seconds=self.seconds,
            folder=folder,
        )
        self.console.print(f"\n{done}")
        self.console.print(say("Try next, the first three in windows of their own:"))
        for command in commands:
            self.console.print(f"   .venv/bin/{command}", highlight=False, soft_wrap=True)

    @property
    def seconds(self) -> float:
        """Seconds since the demo began."""
        return time.monotonic() - self._began
