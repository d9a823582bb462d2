"""Attacks that ask what may not be asked: each is a handful of tricks on the same targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from saferoom_attacks.ask import BANK, FORMER_BANK, LEFT_BANK, Heard, Oracle, Trick, least
from saferoom_attacks.asking import Notes
from saferoom_attacks.attack import Chance
from saferoom_attacks.firms import MIDDLE
from saferoom_attacks.ground import Grant
from saferoom_attacks.tricks import HARMLESS, REVOKED_BANK, USED_BANK
from saferoom_proto.statements import Purpose


@dataclass(frozen=True, slots=True)
class Breaking:
    """Tries tricks, one after the other, each on every target."""

    tricks: tuple[Trick, ...]

    def __call__(
        self, oracle: Oracle, targets: Sequence[str], chance: Chance
    ) -> Mapping[str, Heard]:
        """Ask by each trick in which half of the amounts a target is."""
        del chance
        notes, question = Notes(targets), least(MIDDLE)
        for trick in self.tricks:
            if trick is Trick.USED_UP:
                oracle.ask(USED_BANK, [(target, HARMLESS) for target in targets])
            told = oracle.trick(trick, [(target, question) for target in targets])
            for target, one in zip(targets, told, strict=True):
                notes.note(target, question, one)
        return notes.done()


def grants_for_tricks(subject: str) -> Sequence[Grant]:
    """Give the consents beside which a trick's own rule is the only one that refuses it."""
    return (
        Grant(subject, BANK),
        Grant(subject, REVOKED_BANK, revoked=True),
        Grant(subject, USED_BANK, uses=1),
    )


def grants_for_downgrade(subject: str) -> Sequence[Grant]:
    """Give consents that are wider than the agreement that was narrowed, or ended."""
    return (
        Grant(subject, BANK),
        Grant(subject, FORMER_BANK, (Purpose.PRE_LOAN, Purpose.IN_LOAN)),
        Grant(subject, LEFT_BANK),
    )
