"""The room, as banks with valid certificates ask it: through the SDK, by batches and single checks.

What was charged is read in what the enclave signed; the SDK has verified it before we see it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import groupby
from math import prod
from threading import Lock
from typing import Final

from saferoom_attacks.ask import ALL, Row, Rules, Told, Trick, group_of
from saferoom_attacks.forging import forge
from saferoom_attacks.ground import Ground
from saferoom_attacks.patience import reason_of, verdict_of
from saferoom_attacks.tricks import play
from saferoom_client.batch_answer import BatchAnswer
from saferoom_client.question import Question as Signed
from saferoom_client.room import Room
from saferoom_proto.answer import Band, Truth
from saferoom_proto.batch import Record, split
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.receipt import verify_receipt
from saferoom_proto.shares import Share
from saferoom_proto.statements import Purpose

HURRIES: Final = (0.005, 0.02, 0.06)
"""Seconds after which a bank hangs up: before, around and after the time that an answer takes."""
SINGLE: Final = frozenset({"phone-is"})
"""What no batch may ask."""
_AT_ONCE: Final = 16
"""Single checks under way."""
_PARAMETERS: Final = 250
"""Different parameters in one batch, below what it may have (256)."""
_PURPOSE: Final = Purpose.PRE_LOAN


class RoomOracle:
    """Asks an open room.

    Args:
        ground: the room.
        told: is told how many questions were asked.
    """

    def __init__(self, ground: Ground, told: Callable[[int], None]) -> None:
        self._ground: Final = ground
        self._told: Final = told
        self._charged: Final[dict[str, dict[tuple[str, str, int], int]]] = {}
        self._lock: Final = Lock()
        self._count = 0
        self._cut = 0

    @property
    def rules(self) -> Rules:
        """Give the rules that the published software has."""
        return ALL

    @property
    def asked(self) -> int:
        """How many questions were asked."""
        return self._count

    @property
    def cut(self) -> int:
        """How many calls were hung up before their answer came."""
        return self._cut

    def ask(self, bank: str, rows: Sequence[Row]) -> list[Told]:
        """Ask as a bank: by as few batches as can hold the rows, or one by one where it must be."""
        self._counted(len(rows))
        if any(question.template in SINGLE for _, question in rows):
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                return list(pool.map(partial(self._ask_one, bank), rows))
        room, told = self._ground.room(bank), dict[int, Told]()
        for places in _batches(rows):
            asked = [rows[place] for place in places]
            template = self._ground.templates[asked[0][1].template]
            questions = [(who, dict(each.params)) for who, each in asked]
            ask = partial(room.check_many, template, questions, purpose=_PURPOSE)
            try:
                answer = verdict_of(ask)
            except SafeRoomError as refused:
                outcomes: list[Told] = [reason_of(refused)] * len(asked)
            else:
                outcomes = self._judged(bank, answer, [who for who, _ in asked])
            told.update(zip(places, outcomes, strict=True))
        return [told[place] for place in range(len(rows))]

    def hang_up(self, bank: str, rows: Sequence[Row]) -> list[Told | None]:
        """Ask each question once, hang up, and look later whether its answer is there."""
        self._counted(len(rows))
        patient = self._ground.room(bank)
        with ExitStack() as opened:
            hurried = [
                opened.enter_context(Room(patient.profile, deadline_seconds=each))
                for each in HURRIES
            ]
            pool = opened.enter_context(ThreadPoolExecutor(_AT_ONCE))
            questions = list(pool.map(partial(self._prepared, patient), rows))
            rooms = (hurried[number % len(hurried)] for number in range(len(rows)))
            self._cut += sum(pool.map(_asked_briefly, rooms, questions))
            return list(pool.map(partial(self._found_later, patient, bank), questions))

    def at_once(self, banks: Sequence[str], rows: Sequence[Row]) -> list[tuple[Row, Told]]:
        """Have banks ask the same rows in one batch each, begun together, each in its own order."""
        shares = [[*rows[place:], *rows[:place]] for place in _starts(len(rows), len(banks))]
        with ThreadPoolExecutor(len(banks)) as pool:
            told = list(pool.map(self.ask, banks, shares))
        return [
            pair
            for share, one in zip(shares, told, strict=True)
            for pair in zip(share, one, strict=True)
        ]

    def trick(self, trick: Trick, rows: Sequence[Row]) -> list[Told]:
        """Ask in a way that is not allowed."""
        self._counted(len(rows))
        return play(self._ground, trick, rows)

    def forge(self, subject: str) -> list[Told]:
        """Have a server that was taken over ask about a subject."""
        told = forge(self._ground, subject)
        self._counted(len(told))
        return told

    def regroup(self, bank: str) -> None:
        """Have a bank's next agreement name another group."""
        self._ground.regroup(bank)

    def next_period(self) -> None:
        """Have the owner load the same records anew."""
        self._ground.load()

    def charged_cells(self, subject: str) -> dict[str, int]:
        """Give by group the cells it was charged for about a subject, by what enclaves signed."""
        account = self._charged.get(subject, {})
        groups = {group for group, _, _ in account}
        return {
            each: prod(cells for (group, _, _), cells in account.items() if group == each)
            for each in groups
        }

    def _judged(self, bank: str, answer: BatchAnswer, subjects: Sequence[str]) -> list[Told]:
        """Read what became of a batch's rows, and note what they were charged."""
        (part,) = answer.parts
        names = [use.feature for use in answer.view.certificate.part(part.release.owner).charged]
        records = [
            Record.from_bytes(record)
            for chunk in part.chunks
            for (record,) in split(chunk.records, len(chunk.records) // chunk.count)
        ]
        for subject, record in zip(subjects, records, strict=True):
            # A refused row has no charges, or charges of nothing.
            for name, (_, after) in zip(names, record.charges, strict=False):
                self._note(bank, subject, name, after)
        outcomes = [record.outcome for record in records]
        # A check of one owner has neither shares nor bands.
        return [each for each in outcomes if not isinstance(each, Share | Band)]

    def _counted(self, questions: int) -> None:
        with self._lock:
            self._count += questions
            self._told(self._count)

    def _note(self, bank: str, subject: str, feature: str, after: int) -> None:
        key = (group_of(bank), feature, self._ground.epoch)
        with self._lock:
            account = self._charged.setdefault(subject, {})
            account[key] = max(after, account.get(key, 1))

    def _ask_one(self, bank: str, row: Row) -> Told:
        room = self._ground.room(bank)
        question = self._prepared(room, row)
        try:
            answer = verdict_of(partial(room.ask, question))
        except SafeRoomError as refused:
            return reason_of(refused)
        for charge in answer.charges:
            self._note(bank, row[0], charge.feature, charge.cells_after)
        return answer.truth

    def _prepared(self, room: Room, row: Row) -> Signed:
        subject, question = row
        template, params = self._ground.templates[question.template], dict(question.params)
        return room.prepare(template, subject=subject, purpose=_PURPOSE, params=params)

    def _found_later(self, room: Room, bank: str, question: Signed) -> Told | None:
        """Look at what the room has recorded of a question; whatever is there was charged."""
        try:
            receipt = verdict_of(partial(room.get_check, question))
        except SafeRoomError as refused:
            reason_of(refused)
            return None  # the room never heard the question
        verified = verify_receipt(receipt, room.profile.trust)
        (part,) = verified.parts.values()
        for charge in part.release.charges:
            self._note(bank, question.request.subject, charge.feature, charge.cells_after)
        answer = verified.answer
        return answer if isinstance(answer, Truth) else part.release.reason


def _starts(rows: int, banks: int) -> list[int]:
    """Give each bank another row to begin with, as far from the others' as can be."""
    return [bank * rows // banks for bank in range(banks)]


def _asked_briefly(room: Room, question: Signed) -> bool:
    """Ask, and tell whether the call was cut off before its answer came."""
    try:
        room.ask(question)
    except SafeRoomError as refused:
        return refused.reason in (Reason.DEADLINE, Reason.UNAVAILABLE)
    return False


def _batches(rows: Sequence[Row]) -> Iterator[list[int]]:
    """Give the places of rows that go into one batch: one template, each row once, few parameters.

    The template's rows keep their order, so that what is charged does not depend on ours.
    """
    order = sorted(range(len(rows)), key=lambda place: rows[place][1].template)
    for _, group in groupby(order, key=lambda place: rows[place][1].template):
        batch: dict[Row, int] = {}
        parameters: set[object] = set()
        for place in group:
            params = rows[place][1].params
            if rows[place] in batch or len(parameters | {params}) > _PARAMETERS:
                yield list(batch.values())
                batch, parameters = {}, set()
            batch[rows[place]] = place
            parameters.add(params)
        yield list(batch.values())
