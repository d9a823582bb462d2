"""What `saferoom attack` calls: choose, open a room in a scratch folder, run, report."""

from __future__ import annotations

import os
import platform
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory, gettempdir
from typing import Final

from saferoom_attacks.attack import Attack
from saferoom_attacks.blurred import NoiseOracle
from saferoom_attacks.catalogue import ATTACKS
from saferoom_attacks.noise_attacks import NOISE_ATTACKS
from saferoom_attacks.offices import SumOracle
from saferoom_attacks.report import document, held, markdown, row
from saferoom_attacks.suite import Found, Progress, Say, Scale, Suite
from saferoom_attacks.sum_attacks import SUM_ATTACKS
from saferoom_attacks.table_attack import TableAttack
from saferoom_attacks.table_attacks import TABLE_ATTACKS
from saferoom_attacks.wager import Bet, Wager
from saferoom_client.sandbox.leftovers import LOCK, alone_in
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

_PREFIX: Final = "saferoom-attacked-"


class Run:
    """A run of the suite, as the command shows it.

    Args:
        only: names of attacks; none means all.
        seed: the same seed asks the same.
        queries: about how many questions all attacks together ask.

    Raises:
        SafeRoomError: `MALFORMED` naming an attack that there is none of.
    """

    def __init__(self, only: Sequence[str], seed: int, queries: int) -> None:
        attacks = chosen(only)
        self.suite = Suite(
            [each for each in attacks if isinstance(each, Attack)],
            Scale.of(queries, seed),
            [each for each in attacks if isinstance(each, TableAttack)],
            [each for each in NOISE_ATTACKS if each in attacks],
            [each for each in SUM_ATTACKS if each in attacks],
        )
        self.findings: list[Found] = []
        self._now = datetime.now(UTC)

    def play(self, folder: Path | None, say: Say, progress: Progress) -> None:
        """Open the room, in a folder that is to be kept or in one that goes, and attack it."""
        with _scratch(folder) as place, self.suite.opened(place, say) as ground:
            for finding in self.suite.run(ground, progress):
                self.findings.append(finding)

    @property
    def held(self) -> bool:
        """Whether every bound held, and every control showed that its attack can succeed."""
        return held(self.findings)

    @property
    def whole(self) -> bool:
        """Whether it came to its end."""
        suite = self.suite
        chosen = (suite.attacks, suite.tables, suite.noise, suite.sums)
        return len(self.findings) == sum(map(len, chosen))

    def rows(self) -> list[tuple[str, ...]]:
        """Give the table's lines."""
        return [row(each) for each in self.findings]

    def document(self) -> dict[str, object]:
        """Give all of it for a program."""
        return document(self.findings, self.suite.scale, _version(), machine(), self._now)

    def markdown(self) -> str:
        """Give the table as docs/attacks.md keeps it."""
        return markdown(self.findings, self.suite.scale, _version(), machine(), self._now)


AnyAttack = Attack | TableAttack | Wager[NoiseOracle] | Wager[SumOracle]
ALL: Final[tuple[AnyAttack, ...]] = (*ATTACKS, *TABLE_ATTACKS, *NOISE_ATTACKS, *SUM_ATTACKS)
"""Every attack, in the order in which they run."""


def chosen(only: Sequence[str]) -> tuple[AnyAttack, ...]:
    """Give the attacks of these names, or all."""
    names = {attack.name for attack in ALL}
    if unknown := sorted(set(only) - names):
        faults = [FieldFault("--only", f"there is no attack {each}") for each in unknown]
        error = SafeRoomError(Reason.MALFORMED, f"no attack {unknown[0]}", faults)
        error.add_note("saferoom attack --list")
        raise error
    return tuple(attack for attack in ALL if not only or attack.name in only)


def listed() -> list[dict[str, object]]:
    """List the attacks, each with its title, its bound, and what its control lacks."""
    return [
        {
            "name": each.name,
            "title": {"en": each.title.en, "zh": each.title.zh},
            "bound": {"en": each.why.en, "zh": each.why.zh},
            "control": {"en": each.lacks.en, "zh": each.lacks.zh},
        }
        for each in map(_shown, ALL)
    ]


def _shown(attack: AnyAttack) -> Attack | TableAttack | Bet:
    return attack.bet if isinstance(attack, Wager) else attack


def machine() -> str:
    """Say on what it runs."""
    return f"{os.cpu_count()} processors, {platform.machine()}, Python {platform.python_version()}"


def _version() -> str:
    return version("saferoom")


def clear_leftovers() -> None:
    """End and remove what runs left behind that were killed; not what still runs."""
    for left in Path(gettempdir()).glob(f"{_PREFIX}*"):
        # Whoever has no lock there yet has only just begun.
        if (left / LOCK).exists() and left.stat().st_uid == os.getuid():
            with suppress(SafeRoomError), alone_in(left):
                rmtree(left)


@contextmanager
def _scratch(folder: Path | None) -> Generator[Path]:
    """Give an empty folder: the named one, which stays, or one that is removed in the end."""
    if folder is None:
        clear_leftovers()
        with TemporaryDirectory(prefix=_PREFIX) as made, alone_in(Path(made)):
            yield Path(made)
        return
    if folder.exists() and any(folder.iterdir()):
        rule = "is not empty; name another folder with --out"
        fault = FieldFault(str(folder), rule)
        raise SafeRoomError(Reason.BAD_CONFIG, f"{folder} {rule}", [fault])
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    yield folder.absolute()
