"""What an attack asks, what it is told, and the ways in: a room's, a model's or a control's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from saferoom_attacks.firms import EVERY, Record
from saferoom_proto.answer import Truth
from saferoom_proto.reasons import Reason

BANK: Final = "bank"
"""Who attacks alone."""
ALLIES: Final = tuple(f"ally-{number}" for number in range(1, 9))
"""Eight banks of one collusion group."""
RIVALS: Final = tuple(f"rival-{number}" for number in range(1, 9))
"""Eight banks, each a group of its own, that collude all the same."""
STRANGER: Final = "stranger"
"""A bank with an agreement that no firm consented to."""
FORMER_BANK: Final = "former-bank"
"""A bank whose agreement was replaced by a narrower one."""
LEFT_BANK: Final = "left-bank"
"""A bank whose agreement was ended."""
ROVER: Final = "rover"
"""A bank whose next agreement names another group, again and again."""
BANKS: Final = (BANK, *ALLIES, *RIVALS, STRANGER, FORMER_BANK, LEFT_BANK, ROVER)


def group_of(bank: str) -> str:
    """Give the collusion group that stands in a bank's agreement."""
    return "allies" if bank in ALLIES else bank


Told = Truth | Reason
Value = str | bool


@dataclass(frozen=True, slots=True)
class Question:
    """A template by its name, and the parameters it is asked with."""

    template: str
    params: tuple[tuple[str, Value], ...] = ()

    @classmethod
    def at(cls, template: str, **params: Value) -> Question:
        """Write a question with its parameters by name."""
        return cls(template, tuple(sorted(params.items())))


def least(amount: int, feature: str = "turnover") -> Question:
    """Ask whether a feature reaches an amount."""
    return Question.at(f"{feature}-least", least=str(amount))


Row = tuple[str, Question]
"""A subject, and what is asked of it."""
Heard = tuple[tuple[Question, Told], ...]
"""All that an attack asked of one target, in order, and what it was told."""


class Trick(StrEnum):
    """A way to ask what may not be asked."""

    NO_CONSENT = "no-consent"
    OWN_NAME = "in-its-own-name"
    ANOTHERS_QUESTION = "another-banks-signed-question"
    OTHER_SUBJECT = "with-another-subject-in-it"
    OTHERS_CONSENT = "consent-of-another-firm"
    REVOKED = "consent-taken-back"
    USED_UP = "consent-used-up"
    SAME_NONCE = "a-used-nonce-again"
    OUT_OF_TIME = "after-its-window"
    OTHER_PURPOSE = "purpose-not-consented-to"
    FOREIGN_PURPOSE = "purpose-the-template-does-not-serve"
    UNAPPROVED = "template-nobody-approved"
    SAME_NAME = "unapproved-template-of-an-approved-name"
    BORROWED_CERTIFICATE = "with-an-approved-ones-certificate"
    FINER_LITERAL = "literal-off-the-grid"
    WITHDRAWN = "approval-taken-back"
    FORMER_FEATURE = "certificate-of-a-former-feature"
    FORMER_AGREEMENT = "purpose-of-a-former-agreement"
    ENDED_AGREEMENT = "agreement-that-was-ended"
    LAXER_CHARTER = "laxer-charter-handed-in"


@dataclass(frozen=True, slots=True)
class Rules:
    """Which rules of a gate are on.

    Attributes:
        grid: thresholds are those of the owner's grid.
        budgets: a feature's budget in a period.
        cap: a family's in 36 months.
        groups: banks of one group have one account, and keep it in the next group.
        attempts: so many values may be stated, ever.
        before: what is asked is charged before it is answered, and so when nobody listens.
        alone: no question is judged while another of the same account is.
        entry: consents, purposes, approvals and agreements.
    """

    grid: bool = True
    budgets: bool = True
    cap: bool = True
    groups: bool = True
    attempts: bool = True
    before: bool = True
    alone: bool = True
    entry: bool = True


ALL: Final = Rules()
NONE: Final = Rules(*(False,) * 8)


class Oracle(Protocol):
    """Answers an attacker: the room, or a gate that lacks something.

    What an attack asks it is counted here.
    """

    @property
    def rules(self) -> Rules:
        """Give the rules that an attacker can expect of it, having the same software at home."""
        ...

    @property
    def asked(self) -> int:
        """How many questions were asked."""
        ...

    @property
    def cut(self) -> int:
        """How many calls were hung up before their answer came."""
        ...

    def ask(self, bank: str, rows: Sequence[Row]) -> list[Told]:
        """Ask as a bank, each row once."""
        ...

    def hang_up(self, bank: str, rows: Sequence[Row]) -> list[Told | None]:
        """Ask, and be gone before the answer is; then look what can be had of it all the same."""
        ...

    def at_once(self, banks: Sequence[str], rows: Sequence[Row]) -> list[tuple[Row, Told]]:
        """Have banks ask the same rows at the same time, each of them all, in its own order."""
        ...

    def trick(self, trick: Trick, rows: Sequence[Row]) -> list[Told]:
        """Ask in a way that is not allowed."""
        ...

    def forge(self, subject: str) -> list[Told]:
        """Have the server, taken over, ask about a subject in ways that nobody allowed."""
        ...

    def next_period(self) -> None:
        """Have the owner load the same records anew."""
        ...

    def regroup(self, bank: str) -> None:
        """Have a bank's next agreement name another group."""
        ...

    def charged_cells(self, subject: str) -> dict[str, int]:
        """Give by group the cells it was charged for about a subject, over all features."""
        ...


def typical() -> dict[str, Record]:
    """Give one firm of each record, by its index."""
    return {str(index): record for index, record in enumerate(EVERY)}
