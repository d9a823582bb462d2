"""Runs the suite: opens the room, plays every attack against it and against its control."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from saferoom_attacks.ask import Oracle
from saferoom_attacks.attack import Attack, Chance, Finding
from saferoom_attacks.blurred import OWNER as BLURRED
from saferoom_attacks.blurred import NoiseOracle
from saferoom_attacks.books import OWNER as BOOKS
from saferoom_attacks.books import rows
from saferoom_attacks.firms import EVERY, KNOWN, Record, codes
from saferoom_attacks.ground import Ground, cast_with
from saferoom_attacks.measure import Learned, learned
from saferoom_attacks.offices import OWNERS, SumOracle
from saferoom_attacks.room_oracle import RoomOracle
from saferoom_attacks.sum_room import SumRoom
from saferoom_attacks.table_ask import HomeGate, TableOracle
from saferoom_attacks.table_attack import Left, TableAttack, TableFinding
from saferoom_attacks.table_room import BlurredRoom, TableRoom
from saferoom_attacks.wager import Gained, Wager, Wagered, posterior
from saferoom_client.demo.processes import Processes
from saferoom_client.demo.stage import Stage

CONTROL_ROUNDS: Final = 32
"""A control shows that an attack can succeed; it need not go on for as long."""
NOISY_COPIES: Final = 16
"""Firms of each record where the control's answers are noisy: enough that it is no luck."""
MOST_COPIES: Final = 8
_ROUND_QUESTIONS: Final = 8
"""How many questions about one target of each attack a round has, as measured."""
_FIRST_QUESTIONS: Final = 290
"""How many there are without rounds."""

Say = Callable[[str], None]
Progress = Callable[[str, int, int], None]
"""Is told which attack asks, how many questions were asked, and about how many there will be."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How large a run is.

    Attributes:
        seed: the same seed asks the same.
        copies: targets of each record.
        rounds: how often an attack comes back once what is allowed is used up.
        queries: about how many questions that makes.
    """

    seed: int = 1
    copies: int = 1
    rounds: int = 8
    queries: int = 0

    @classmethod
    def of(cls, queries: int, seed: int) -> Scale:
        """Choose a scale at which the whole suite asks about so many questions."""
        records = len(EVERY)
        copies = max(1, min(MOST_COPIES, queries // (4 * _FIRST_QUESTIONS * records)))
        left = max(0, queries - _FIRST_QUESTIONS * records * copies)
        return cls(seed, copies, max(4, left // (_ROUND_QUESTIONS * records * copies)), queries)


Home = TypeVar("Home")
Found = Finding | TableFinding | Wagered


@dataclass(frozen=True, slots=True)
class Suite:
    """Some attacks at some scale.

    Args:
        attacks: which, on checks.
        scale: how large.
        tables: which, on tables.
        noise: which, on tables with noise.
        sums: which, on sums over owners.
    """

    attacks: Sequence[Attack]
    scale: Scale
    tables: Sequence[TableAttack] = ()
    noise: Sequence[Wager[NoiseOracle]] = ()
    sums: Sequence[Wager[SumOracle]] = ()

    def targets(self) -> dict[str, dict[str, Record]]:
        """Give each attack its own targets, so that none spends another's budgets."""
        allotted: dict[str, dict[str, Record]] = {}
        first = 1  # 0 is the attackers' own firm
        for attack in self.attacks:
            records = attack.records * self.scale.copies
            allotted[attack.name] = dict(zip(codes(first, len(records)), records, strict=True))
            first += len(records)
        return allotted

    def run(self, ground: Ground, progress: Progress) -> Iterator[Found]:
        """Attack a room that was opened with these targets."""
        allotted, name, before = self.targets(), "", 0

        def told(more: int) -> None:
            asked = before + more
            progress(name, asked, max(asked, self.scale.queries))

        oracle = RoomOracle(ground, told)
        for attack in self.attacks:
            name = attack.name
            told(oracle.asked)
            yield self.attack(attack, oracle, allotted[attack.name])
        before += oracle.asked
        if self.tables:
            room = TableRoom(ground, told)
            room.build(rows(self.scale.seed))
            for on_tables in self.tables:
                name = on_tables.name
                told(room.asked)
                yield self.attack_tables(on_tables, room)
            before += room.asked
        if self.noise:
            blurred = BlurredRoom(ground, told, self.scale.seed)
            for on_noise in self.noise:
                name = on_noise.name
                told(blurred.asked)
                yield self.attack_noise(on_noise, blurred)
            before += blurred.asked
        if self.sums:
            several = SumRoom(ground, told, self.scale.seed)
            for on_sums in self.sums:
                name = on_sums.name
                told(several.asked)
                yield self.attack_sums(on_sums, several)

    def attack_tables(self, attack: TableAttack, oracle: TableOracle) -> TableFinding:
        """Play one attack on tables, and its control."""
        firms, chance = rows(self.scale.seed), Chance(self.scale.seed, self.scale.rounds)
        before, began = oracle.asked, time.monotonic()
        left = attack.play(oracle, firms, chance)
        seconds, queries = time.monotonic() - began, oracle.asked - before
        return TableFinding(attack, left, self.control_tables(attack), queries, seconds)

    def control_tables(self, attack: TableAttack) -> Sequence[Left]:
        """Play an attack on tables against its control, on the same firms."""
        firms = rows(self.scale.seed)
        chance = Chance(self.scale.seed, min(self.scale.rounds, CONTROL_ROUNDS))
        return attack.play(HomeGate(firms, attack.control), firms, chance)

    def attack_noise(self, attack: Wager[NoiseOracle], oracle: NoiseOracle) -> Wagered:
        """Play one attack on tables with noise, and its control."""
        before, paid, began = oracle.asked, oracle.charged, time.monotonic()
        room = attack.run(oracle, Chance(self.scale.seed, self.scale.rounds))
        seconds, queries = time.monotonic() - began, oracle.asked - before
        charges = [more - paid.get(group, 0) for group, more in oracle.charged.items()]
        epsilon = float(max(charges, default=0))
        charged = posterior(epsilon, attack.bet.prior) / attack.bet.prior
        control = self.control_of(attack)
        return Wagered(attack.bet, room, control, math.log2(charged), queries, seconds)

    def attack_sums(self, attack: Wager[SumOracle], oracle: SumOracle) -> Wagered:
        """Play one attack on sums over owners, and its control."""
        before, began = oracle.asked, time.monotonic()
        room = attack.run(oracle, Chance(self.scale.seed, self.scale.rounds))
        seconds, queries = time.monotonic() - began, oracle.asked - before
        return Wagered(attack.bet, room, self.control_of(attack), None, queries, seconds)

    def control_of(self, attack: Wager[Home]) -> Gained:
        """Play an attack that guesses against its control."""
        chance = Chance(self.scale.seed, CONTROL_ROUNDS)
        return attack.run(attack.control(chance), chance)

    def attack(self, attack: Attack, oracle: Oracle, firms: Mapping[str, Record]) -> Finding:
        """Play one attack, and its control."""
        chance = Chance(self.scale.seed, self.scale.rounds)
        before, cut, began = oracle.asked, oracle.cut, time.monotonic()
        seen = attack.run(oracle, firms, chance)
        seconds, queries = time.monotonic() - began, oracle.asked - before
        charged = [cells for each in firms for cells in oracle.charged_cells(each).values()]
        told = Counter(str(one) for each in seen for _, one in each.heard)
        return Finding(
            attack,
            learned(seen),
            self.control(attack),
            max(charged, default=1),
            told,
            queries,
            oracle.cut - cut,
            seconds,
        )

    def control(self, attack: Attack) -> Learned:
        """Play an attack against its control, on firms of the same records."""
        chance = Chance(self.scale.seed, min(self.scale.rounds, CONTROL_ROUNDS))
        copies = NOISY_COPIES if attack.noisy else 1
        firms = {f"{record} {copy}": record for record in attack.records for copy in range(copies)}
        return learned(
            attack.run(attack.control(firms, chance), firms, chance), by_chance=attack.noisy
        )

    @contextmanager
    def opened(self, folder: Path, say: Say) -> Generator[Ground]:
        """Open a room with the suite's targets in an empty folder, and close it in the end."""
        allotted = self.targets()
        (own,) = codes(0, 1)
        firms = {own: KNOWN[0]}
        for each in allotted.values():
            firms |= each
        with Processes(folder / "logs") as processes:
            also = [BOOKS] * bool(self.tables) + [BLURRED] * bool(self.noise)
            also += [*OWNERS] * bool(self.sums)
            ground = Ground(Stage(folder, processes, cast_with(*also)), firms)
            try:
                ground.build(say)
                say("the firms consent")
                ground.grant(
                    [
                        *ground.own_grants(own),
                        *(
                            grant
                            for attack in self.attacks
                            for subject in allotted[attack.name]
                            for grant in attack.grants(subject)
                        ),
                    ]
                )
                yield ground
            finally:
                ground.close()
