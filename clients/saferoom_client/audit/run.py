"""Reads the whole log once, in its order: hashes it, opens it, and judges it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from saferoom_client.audit.book import Book
from saferoom_client.audit.disputes import OpenDispute
from saferoom_client.audit.entries import TAKES
from saferoom_client.audit.federations import Federated
from saferoom_client.audit.naming import NAMELESS, Named, named
from saferoom_client.audit.questions import Receipts, read_receipts
from saferoom_client.audit.rows import JudgedRow, require_row
from saferoom_client.audit.spending import Spending
from saferoom_client.audit.words import RESTED_ON, Words
from saferoom_client.chains import Chains
from saferoom_client.heads import require_grown
from saferoom_client.log import LogTree, Progress, all_entries, ignore_progress
from saferoom_client.records.coverage import Store
from saferoom_client.session import Session
from saferoom_client.values import LogEntry
from saferoom_proto.checkpoint import Checkpoint
from saferoom_proto.dsse import Envelope
from saferoom_proto.entry import commitment, leaf
from saferoom_proto.keys import VerifyKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.spoken import open_spoken
from saferoom_proto.statements import Recovered, Release, Snapshot


@dataclass(frozen=True, slots=True)
class Violation:
    """An entry of the log that should not stand there as it does.

    Attributes:
        entry: its index; none where the log as a whole is wrong.
        reason: the rule that it breaks.
        what: in words, for the auditor's report. The log holds no record, and neither does this.
        named: what kind of statement the entry is, and whose it says to be.
    """

    entry: int | None
    reason: Reason
    what: str
    named: Named = NAMELESS


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What an audit found.

    Attributes:
        checkpoint: the head that was audited; kept in the profile if the log is whole.
        grown_from: the head that it was shown to extend; none the first time.
        since: the first entry that was judged; those before it were read and hashed.
        judged: how many entries were.
        erased: how many can no longer be opened.
        unjudged: how many are of a kind that this auditor has no rule for.
        crossed: how many answers a revocation crossed on its way to their enclave.
        replayed: how many answers had their charges replayed.
        receipts: how many receipts were read beside the log.
        opened: how many words of enclaves those receipts opened the questions of.
        recovered: older copies of an enclave that went on by their owner's decision.
        stores: what each owner's enclave said last of its store.
        overdue: disputes that their owners should have settled by now: no fault of the log.
        disagreeing: federated trainings whose banks tell of different courses: no fault of the log.
        unpinned: owners whose words were not judged: their charter root is not pinned here.
        violations: everything that is wrong, in the order of the log.
    """

    checkpoint: Checkpoint
    grown_from: Checkpoint | None
    since: int
    judged: int
    erased: int
    unjudged: int
    crossed: int
    replayed: int
    receipts: int
    opened: int
    recovered: tuple[Recovered, ...]
    stores: tuple[Store, ...]
    overdue: tuple[OpenDispute, ...]
    disagreeing: tuple[Federated, ...]
    unpinned: tuple[str, ...]
    violations: tuple[Violation, ...]


class Auditor:
    """Judges entries in the log's order.

    Args:
        book: empty.
        heads_keys: sign the room's own refusals, each in its time.
        since: the first entry to judge; earlier ones are only read.
        receipts: what the auditor was given beside the log.
    """

    def __init__(
        self,
        book: Book,
        heads_keys: Sequence[VerifyKey],
        since: int,
        receipts: Receipts | None = None,
    ) -> None:
        self._book: Final = book
        self._words: Final = Words(book, heads_keys)
        self._receipts: Final = receipts or Receipts()
        self._spending: Final = Spending(book, self._receipts.questions)
        self._since: Final = since
        self._chains: Final = Chains()
        self._names: Final[list[Named]] = []
        """Of each entry, by its index; the same name is kept once."""
        self._same: Final[dict[Named, Named]] = {}
        self.violations: Final[list[Violation]] = []
        self.judged = 0
        self.erased = 0
        self.unjudged = 0
        self.opened = 0

    @property
    def unpinned(self) -> set[str]:
        """Owners whose charter root is not pinned here."""
        return self._book.unpinned

    @property
    def crossed(self) -> int:
        """How many answers a revocation crossed on its way to their enclave."""
        return self._words.grounds.crossed

    @property
    def replayed(self) -> int:
        """How many answers had their charges replayed."""
        return self._spending.replayed

    @property
    def recovered(self) -> tuple[Recovered, ...]:
        """Older copies of an enclave that went on by their owner's decision."""
        return tuple(self._words.recovered)

    @property
    def stores(self) -> tuple[Store, ...]:
        """What each owner's enclave said last of its store."""
        return tuple(self._book.stores.values())

    @property
    def disagreeing(self) -> tuple[Federated, ...]:
        """Federated trainings whose banks tell of different courses."""
        return tuple(each for each in self._book.federations.values() if each.differing)

    def overdue(self, now: datetime) -> tuple[OpenDispute, ...]:
        """Give the disputes that owners whose words were judged should have settled by now."""
        found = self._book.disputes.overdue(now)
        return tuple(each for each in found if each.owner not in self._book.unpinned)

    def take(self, entry: LogEntry) -> None:
        """Judge the log's next entry; what is wrong with it is noted, and the audit goes on."""
        name = Named() if entry.statement is None else named(entry.statement)
        self._names.append(self._same.setdefault(name, name))
        if entry.statement is None:
            self._note(entry.index, Reason.BAD_PROOF, "the room does not show what it is")
            return
        if not entry.salt:
            self.erased += 1
        elif leaf(commitment(entry.salt, entry.statement.digest)) != entry.leaf:
            self._note(entry.index, Reason.BAD_PROOF, "it does not commit to its statement")
            return
        if entry.index >= self._since:
            self.judged += 1
        self._judge(entry.index, entry.statement)

    def finish(self) -> None:
        """Judge what shows only once all entries are read."""
        for entry, broken in self._chains.breaks():
            self._note(entry, broken.reason, broken.detail)
        for entry, missing in self._chains.gaps():
            self._note(entry, missing.reason, missing.detail)
        for entry, fault in self._spending.finish():
            self._note(entry, fault.reason, fault.detail)
        for row in self._receipts.rows:
            self._judge_row(row)
        for name, fault in (*self._receipts.faults, *self._receipts.missing(self._book.entries)):
            self.violations.append(Violation(None, fault.reason, f"{name}: {_words(fault)}"))
        self.violations.sort(key=lambda found: -1 if found.entry is None else found.entry)

    def _judge_row(self, row: JudgedRow) -> None:
        entry = self._book.entries.get(row.digest)
        if entry is None or row.word.owner in self._book.unpinned:
            return
        try:
            require_row(row, self._book)
        except SafeRoomError as error:
            self._note(entry, error.reason, f"{row.name}: row {row.index + 1}: {_words(error)}")

    def _judge(self, index: int, statement: Envelope) -> None:
        book, kind = self._book, statement.payload_type
        self._words.spoken, right = None, True
        try:
            if (take := TAKES.get(kind)) is not None:
                take(book, index, statement)
            elif (judge := self._words.judges.get(kind)) is None:
                self.unjudged += 1
            elif index >= self._since or kind in RESTED_ON:
                judge(statement)
            else:
                self._words.spoken = open_spoken(statement)  # judged when it was audited
        except SafeRoomError as error:
            self._note(index, error.reason, _words(error))
            right = False
        finally:
            book.entries.setdefault(statement.digest, index)
            book.streams.take(index, statement)
        if isinstance(said := self._words.spoken, Snapshot):
            book.epochs.add((said.owner, said.store.epoch))
        if right or said is not None:
            self._link(index, statement)
        self._replay(index)

    def _link(self, index: int, statement: Envelope) -> None:
        """Put an enclave's word into its chain, allowed or not; not what another made up."""
        try:
            self._chains.take(statement, index)
        except SafeRoomError as error:
            self._note(index, error.reason, _words(error))

    def _replay(self, index: int) -> None:
        """Replay what an enclave's word charged, whatever else is wrong with it."""
        said = self._words.spoken
        if said is None or said.owner in self._book.unpinned:
            return
        for entry, fault in self._spending.take(index, said):
            self._note(entry, fault.reason, fault.detail)
        if not isinstance(said, Release) or index < self._since:
            return
        opened = self._receipts.questions.get(said.request)
        if opened is None:
            return
        self.opened += 1
        try:
            opened.require_allowed(said, self._book)
        except SafeRoomError as error:
            self._note(index, error.reason, f"{opened.name}: {_words(error)}")

    def _note(self, entry: int, reason: Reason, what: str) -> None:
        if entry >= self._since:
            self.violations.append(Violation(entry, reason, what, self._names[entry]))


async def audit_log(
    session: Session,
    *,
    since: int = 0,
    receipts: Path | None = None,
    progress: Progress = ignore_progress,
) -> AuditReport:
    """Audit the whole log: its tree, its openings, and every word in it.

    Args:
        session: of an auditor; nobody else is shown what the entries are.
        since: judge from this entry on; those before it are read and hashed all the same.
        receipts: a folder of receipts that owners, subjects or banks gave the auditor. Each must
            verify and stand in the log; the questions in them are judged too.
        progress: is told how many receipts of how many have been read, then of entries.

    Returns:
        Every violation found. A log whose tree does not fit its signed head is one, too.

    Raises:
        SafeRoomError: `BAD_PROOF` if the room gives no log, or one that does not extend what this
            member saw before: then nothing in it is worth judging.
    """
    profile = session.profile
    grown = await require_grown(session)
    newest = grown.newest
    given = Receipts() if receipts is None else read_receipts(receipts, profile.trust, progress)
    auditor = Auditor(Book(profile.trust), profile.card.heads_keys, since, given)
    tree = LogTree(profile.trust.suite)
    async for entry in all_entries(session, newest.size):
        tree.add(entry.leaf)
        auditor.take(entry)
        progress(len(tree), newest.size)
    auditor.finish()
    violations = auditor.violations
    try:
        tree.require_root(newest)
    except SafeRoomError as error:
        violations.append(Violation(None, error.reason, error.detail))
    else:
        profile.log.keep(grown.note)
    return AuditReport(
        checkpoint=newest,
        grown_from=grown.since,
        since=since,
        judged=auditor.judged,
        erased=auditor.erased,
        unjudged=auditor.unjudged,
        crossed=auditor.crossed,
        replayed=auditor.replayed,
        receipts=given.count,
        opened=auditor.opened,
        recovered=auditor.recovered,
        stores=auditor.stores,
        overdue=auditor.overdue(session.clock()),
        disagreeing=auditor.disagreeing,
        unpinned=tuple(sorted(auditor.unpinned)),
        violations=tuple(violations),
    )


def _words(error: SafeRoomError) -> str:
    faults = "; ".join(f"{fault.field}: {fault.rule}" for fault in error.fields)
    return error.detail if not faults else f"{error.detail}: {faults}"
