"""What an owner's store was used for, added up from the words of its own enclave.

Each word was verified under the enclave's endorsement and stands in the log; the room that listed
them is believed in nothing. Every word also has a place in the enclave's own chain: two that stand
beside each other must follow each other, and places that no word here takes are counted. They are
the enclave's other words (on loads and revocations), or uses that were left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from saferoom_client.chains import Chains
from saferoom_client.session import Session
from saferoom_client.use import Use
from saferoom_client.uses import all_uses
from saferoom_client.values import bits_told
from saferoom_proto.reasons import Reason


@dataclass(frozen=True, slots=True)
class Group:
    """Uses that are added up: by whom, by which template, for what, in which period."""

    institution: str
    template: str
    purpose: str
    epoch: int | None


@dataclass(slots=True)
class Total:
    """What the uses of a group come to.

    Attributes:
        asked: questions, a batch's rows among them.
        answered: how many of them were.
        bits: charged for checks; what a row of a batch was charged stands with the row.
        epsilon: charged for tables and bands with noise.
        refused: by reason.
        refused_rows: rows of batches; why stands with each row.
    """

    asked: int = 0
    answered: int = 0
    bits: float = 0.0
    epsilon: Decimal = Decimal(0)
    refused: Counter[Reason] = field(default_factory=Counter[Reason])
    refused_rows: int = 0


@dataclass(slots=True)
class Usage:
    """Uses added up.

    Attributes:
        uses: each, the newest first.
        totals: by group.
        priced: how often a price was asked for, which uses nothing.
        features: questions and bits by institution, feature and period.
        shown: how often subjects were shown what is held about them, which is no use of anybody's.
        elsewhere: places of the enclave's chain between all these that none of them takes.
    """

    uses: tuple[Use, ...]
    totals: dict[Group, Total]
    priced: int
    features: dict[tuple[str, str, int | None], tuple[int, float]]
    shown: int
    elsewhere: int


async def get_usage(session: Session, since: datetime | None = None) -> Usage:
    """Add up what the member's own store was used for.

    Args:
        session: of a member of the owner.
        since: only from then on.

    Raises:
        SafeRoomError: `BAD_PROOF`, `BAD_SIGNATURE`, `BAD_ENDORSEMENT` for what is not the enclave's
            recorded word on a question; `STORE_ROLLED_BACK` if its words do not follow each other.
    """
    uses: list[Use] = []
    async for page in all_uses(session):
        recent = [each for each in page.uses if since is None or each.time >= since]
        uses += recent
        # The log is in order of entry, and a word of before may be entered after one of since.
        if since is not None and not recent and page.uses:
            break
    return added_up(uses)


def added_up(uses: Iterable[Use]) -> Usage:
    """Add up verified uses.

    Raises:
        SafeRoomError: `STORE_ROLLED_BACK` if two words have one place, or do not follow each other.
    """
    told, chains = tuple(uses), Chains()
    for use in told:
        chains.take(use.word.statement)
    chains.require_linked()
    listed = tuple(use for use in told if not use.by_itself)
    totals: dict[Group, Total] = {}
    paid: set[str] = set()
    features: dict[tuple[str, str, int | None], tuple[int, float]] = {}
    for use in listed:
        if use.of_price:
            continue
        purpose = "" if use.request is None else str(use.request.purpose)
        group = Group(use.institution, use.template or "", purpose, use.epoch)
        total = totals.setdefault(group, Total())
        total.asked += use.questions
        total.bits += use.bits
        if use.epsilon and use.request_id not in paid:  # a job taken up again begins again
            total.epsilon += use.epsilon
            paid.add(use.request_id)
        if use.reason is not None:
            total.refused[use.reason] += use.questions
        else:
            answered, refused = use.rows or (use.questions, 0)
            total.answered += answered
            total.refused_rows += refused
        for charge in use.charges:
            key = (use.institution, charge.feature, use.epoch)
            count, bits = features.get(key, (0, 0.0))
            features[key] = (count + 1, bits + bits_told((charge,)))
    priced = sum(use.of_price for use in listed)
    shown = len(told) - len(listed)
    return Usage(listed, totals, priced, features, shown, chains.missing())
