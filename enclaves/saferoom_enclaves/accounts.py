"""What each institution group asked about each subject: in memory, with sealed rows behind it.

Many subjects have the same account, since few questions are asked of many, so each account is kept
once and a subject holds its number. A single check writes its subject's row; a chunk of a batch
writes one row for all subjects whose account it changed. An account only grows, so in whatever
order the rows are read, what covers the rest of a feature and period is the newest.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from itertools import repeat
from typing import Annotated, Final

from pydantic import Field

from saferoom_enclaves.leakage import Scored, told
from saferoom_enclaves.rowform import pack, read_part, unpack
from saferoom_enclaves.state import State
from saferoom_proto.batch import split
from saferoom_proto.formula import Absent, FeatureKind, FeatureRef, FeatureShape
from saferoom_proto.statements.base import Digest, FeatureName, Owner, Part
from saferoom_proto.statements.feature import StatedForm
from saferoom_proto.uscc import SUBJECT_BYTES

_ROW_PARTS: Final = 3
_NOTHING: Final = 0


class Spent(Part):
    """All that was asked of one feature in one period, as it was defined then, and its price."""

    feature: FeatureName
    epoch: Annotated[int, Field(ge=0)]
    value: Digest
    """Of what computes its value: a feature that is defined anew tells something else."""
    kind: FeatureKind
    family: Owner
    unknown: bool
    """Whether silence is told, too."""
    grid: tuple[str, ...]
    """Every threshold or class it could be compared with: of each grid it had while asked of."""
    cuts: tuple[str, ...]
    null: bool
    cells: Annotated[int, Field(ge=1)]
    scores: Annotated[tuple[Scored, ...], Field(exclude_if=operator.not_)] = ()
    """Those asked that read it, in order. Accounts had none at first."""
    moved: Annotated[tuple[Owner, ...], Field(exclude_if=operator.not_)] = ()
    """The families that it was in when it was asked of before, in the same period."""

    @property
    def families(self) -> frozenset[str]:
        """Every family that it was in when it was asked of."""
        return frozenset((self.family, *self.moved))

    @property
    def of_cuts(self) -> int:
        """What was paid for cuts; what is left are the scores' answers, multiplied."""
        return self.cells // math.prod(score.answers for score in self.scores)

    @property
    def place(self) -> Place:
        """Where it stands in an account."""
        return self.feature, self.epoch, self.value

    def covers(self, other: Spent) -> bool:
        """Whether all that was asked of another in the same place was asked of this."""
        return (
            {*other.cuts} <= {*self.cuts}
            and {*other.grid} <= {*self.grid}
            and self.null >= other.null
            and {*other.scores} <= {*self.scores}
            and other.families <= self.families
        )


Place = tuple[str, int, str]
Account = tuple[Spent, ...]


def joined(accounts: Iterable[Account]) -> Account:
    """Give what several groups asked as one account: they share what they learned."""
    together: dict[Place, Spent] = {}
    for account in accounts:
        for each in account:
            known = together.get(each.place)
            together[each.place] = each if known is None else _both_asked(known, each)
    return tuple(together.values())


def _both_asked(one: Spent, other: Spent) -> Spent:
    for this, that in ((one, other), (other, one)):
        if this.covers(that):
            return this
    grid, cuts = {*one.grid, *other.grid}, {*one.cuts, *other.cuts}
    null, scores = one.null or other.null, {*one.scores, *other.scores}
    return Spent.model_construct(
        feature=one.feature,
        epoch=one.epoch,
        value=one.value,
        kind=one.kind,
        family=one.family,
        unknown=one.unknown,
        grid=tuple(sorted(grid)),
        cuts=tuple(sorted(cuts)),
        null=null,
        cells=told(_shape(one, grid), len(cuts), scores, null=null).n,
        scores=tuple(sorted(scores)),
        moved=tuple(sorted((one.families | other.families) - {one.family})),
    )


def _shape(of: Spent, grid: set[str]) -> FeatureShape:
    """Give what a feature could be compared with, as its price needs it."""
    return FeatureShape(
        FeatureRef.parse(of.feature),
        of.kind,
        tuple(sorted(map(Decimal, grid))) if of.kind is FeatureKind.ORDERED else (),
        tuple(sorted(grid)) if of.kind is FeatureKind.CLASSES else (),
        Absent.UNKNOWN if of.unknown else Absent.FALSE,
        StatedForm.TEXT if of.kind is FeatureKind.STATED else None,
    )


class _Kept(Part):
    spent: Account = ()


class Accounts:
    """The accounts of all groups about all subjects.

    Args:
        state: the enclave's database, opened. All is done within its transactions.
    """

    def __init__(self, state: State) -> None:
        self._state: Final = state
        self._accounts: Final[list[Account]] = [()]
        self._documents: Final[list[bytes]] = [b""]
        self._numbers: Final[dict[bytes, int]] = {}
        self._groups: Final[dict[str, dict[bytes, int]]] = {}
        for row in state.found("leakage"):
            group, subject, document = unpack(row.content, _ROW_PARTS)
            self._read(group.decode(), document, [subject])
        for row in state.found("charged"):
            group, *pairs = unpack(row.content)
            for document, subjects in zip(pairs[::2], pairs[1::2], strict=True):
                named = [subject for (subject,) in split(subjects, SUBJECT_BYTES)]
                self._read(group.decode(), document, named)

    def of(self, group: str, subject: str) -> Account:
        """Give a group's account about a subject."""
        return self._accounts[self._of(group).get(subject.encode(), _NOTHING)]

    def numbers(self, group: str, subjects: Sequence[bytes]) -> list[int]:
        """Give the number of a group's account about each of some subjects."""
        return list(map(self._of(group).get, subjects, repeat(_NOTHING)))

    def account(self, number: int) -> Account:
        """Give an account by its number."""
        return self._accounts[number]

    def number(self, account: Account) -> int:
        """Give an account's number."""
        document = _Kept.model_construct(spent=account).model_dump_json().encode()
        return self._numbered(document, account)

    def put(self, group: str, subject: str, account: Account) -> None:
        """Keep a subject's account from now on."""
        held, code = self._of(group), subject.encode()
        number, before = self.number(account), held.get(code, _NOTHING)
        key = self._state.cipher.find("leakage", group, subject)
        row = self._state.get("leakage", key) if before else None
        content = pack(group.encode(), code, self._documents[number])
        self._state.put("leakage", key, content, row)
        self._state.undoing(partial(held.__setitem__, code, before))
        held[code] = number

    def put_many(self, name: str, group: str, changed: Mapping[int, Sequence[bytes]]) -> None:
        """Keep the accounts of many subjects, by the accounts' numbers, in one row.

        Args:
            name: of the row; used once.
            group: whose accounts.
            changed: the subjects whose account is from now on that of a number.
        """
        held = self._of(group)
        parts: list[bytes] = []
        for number, subjects in changed.items():
            parts += (self._documents[number], b"".join(subjects))
            before = dict(zip(subjects, map(held.get, subjects, repeat(_NOTHING)), strict=True))
            self._state.undoing(partial(held.update, before))
            held.update(zip(subjects, repeat(number)))
        key = self._state.cipher.find("charged", name)
        self._state.put("charged", key, pack(group.encode(), *parts))

    def _of(self, group: str) -> dict[bytes, int]:
        return self._groups.setdefault(group, {})

    def _numbered(self, document: bytes, account: Account) -> int:
        number = self._numbers.get(document)
        if number is None:
            number = self._numbers[document] = len(self._accounts)
            self._accounts.append(account)
            self._documents.append(document)
        return number

    def _read(self, group: str, document: bytes, subjects: Sequence[bytes]) -> None:
        number = self._numbers.get(document)
        if number is None:
            number = self._numbered(document, read_part(document, _Kept).spent)
        held = self._of(group)
        for subject in subjects:
            before = held.get(subject, _NOTHING)
            held[subject] = number if before in (_NOTHING, number) else self._both(before, number)

    def _both(self, one: int, other: int) -> int:
        return self.number(joined((self._accounts[one], self._accounts[other])))
