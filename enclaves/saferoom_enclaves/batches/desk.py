"""Batches: many rows under one signed request, judged chunk by chunk, one signed word at the end.

`docs/life-of-a-batch.md` tells the same steps. A chunk is charged, answered and kept in one
transaction; nothing of a batch leaves the enclave before the word on the whole of it is in the
chain. A batch that breaks off goes on at the first row that was not judged, whoever sends it again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from weakref import WeakValueDictionary

from saferoom_enclaves.admit import Rules
from saferoom_enclaves.batches.about_subjects import AboutSubjects, FoundBatches, Search
from saferoom_enclaves.batches.admit import AskedBatch, allowed_use, identify_batch
from saferoom_enclaves.batches.chunk import Chunk, ChunkJudge
from saferoom_enclaves.batches.gate import CellRows
from saferoom_enclaves.batches.progress import Progress, ProgressRows
from saferoom_enclaves.batches.rows import Rows
from saferoom_enclaves.consent_index import milliseconds
from saferoom_enclaves.gate import Moment
from saferoom_enclaves.journal import Journal, Judged
from saferoom_enclaves.judge import PASSING
from saferoom_enclaves.logs import Log
from saferoom_enclaves.requests import Requests, Seen
from saferoom_enclaves.scores.bands import Bands
from saferoom_enclaves.spending import Spending
from saferoom_enclaves.state import State
from saferoom_proto import hpke
from saferoom_proto.batch import (
    CHUNK_ROWS,
    SECRET_BYTES,
    BatchKeys,
    JudgedRows,
    When,
    secret_info,
)
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64, unb64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import BatchRelease, Outcome
from saferoom_proto.suite import suite_of
from saferoom_proto.tree import Tree


class Batch:
    """A batch under way, shared by all who sent it. Its rows are set before it is judged."""

    def __init__(self, asked: AskedBatch) -> None:
        self.asked: Final = asked
        self.rows: Rows | None = None
        self.progress: Progress | None = None
        """How far it is, as it was committed; none before its first chunk."""
        self.answered: int | None = None
        """The chain's entry that is the word on it; none before its end."""


class Batches:
    """Judges batches.

    Args:
        state: the enclave's database, opened.
        rules: what questions are held to.
        requests: which were asked before.
        spending: the leakage ledger.
        journal: the enclave's chain.
        ready: under what it speaks now; refuses while it may not.
        index: the features of the store; refuses with `NO_DATA` while there is none.
        bands: the bands of scores.
        randomness: gives so many random bytes.
        log: the operator's.
    """

    def __init__(
        self,
        *,
        state: State,
        rules: Rules,
        requests: Requests,
        spending: Spending,
        journal: Journal,
        ready: Callable[[], Moment],
        index: Callable[[], CellRows],
        bands: Bands,
        randomness: Callable[[int], bytes],
        log: Log,
    ) -> None:
        self._state: Final = state
        self._rules: Final = rules
        self._requests: Final = requests
        self._journal: Final = journal
        self._ready: Final = ready
        self._chunks: Final = ChunkJudge(rules, spending, index, bands, log)
        self._randomness: Final = randomness
        self._log: Final = log
        self._kept: Final = ProgressRows(state)
        self._about: Final = AboutSubjects(state, self._kept)
        self._under_way: Final[WeakValueDictionary[str, Batch]] = WeakValueDictionary()

    def begin(self, envelope: Envelope) -> Batch:
        """Find out whose batch it is, how far it is, and whether it may begin.

        Raises:
            SafeRoomError: a plain refusal; a verdict on the whole batch is an entry of the chain.
        """
        moment = self._ready()
        # Step 1: whose batch, asked before or not.
        asked = identify_batch(envelope, self._rules.standing, moment.now)
        known = self._under_way.get(asked.request_id)
        if known is not None:
            return known
        batch = Batch(asked)
        seen = self._requests.look_up(asked.request, asked.request_id)
        batch.answered = seen.answered
        batch.progress = self._kept.read(asked.request_id)
        if batch.answered is None and batch.progress is None:
            refusal = self._refusal(asked, seen, moment)
            if refusal is not None:
                with self._state.transaction():
                    batch.answered = self._refuse(asked, seen, refusal, moment)
        self._under_way[asked.request_id] = batch
        return batch

    def judge_next(self, batch: Batch) -> int:
        """Judge a batch's next chunk, durably; with the last one goes the word on all of it.

        Returns:
            How many of its rows are judged.

        Raises:
            SafeRoomError: a plain refusal; what was judged before stays judged.
        """
        if batch.answered is None:
            moment = self._ready()
            with self._state.transaction():
                progress, answered = self._judged(batch, moment)
            batch.progress, batch.answered = progress, answered
        return batch.asked.request.rows if batch.progress is None else batch.progress.judged

    def word(self, batch: Batch) -> Judged:
        """Give the word on a batch that was judged to its end; with the sealed secret, if any."""
        if batch.answered is None:
            raise SafeRoomError(Reason.INTERNAL, "no word on a batch that is under way")
        return self._journal.read(batch.answered)

    def chunk(self, batch: Batch, number: int) -> tuple[bytes, tuple[bytes, ...]]:
        """Give a chunk, sealed to the asker, and the hashes that prove its root."""
        if batch.answered is None or batch.progress is None:
            raise SafeRoomError(Reason.INTERNAL, "no answer before the word on the batch")
        request_id = batch.asked.request_id
        judged = self._kept.judged(request_id, number)
        keys = self._keys(batch.asked, batch.progress)
        sealed = keys.seal(number, judged.when + judged.records)
        return sealed, batch.progress.tree(suite_of(request_id)).path(number)

    def search(self, subject: str) -> Search:
        """Begin to look for the rows about a subject."""
        return self._about.search(subject)

    def go_on(self, search: Search) -> None:
        """Look for them in one piece more."""
        self._about.go_on(search)

    def about(self, search: Search) -> FoundBatches:
        """Give the rows about a subject in the batches that were judged to their end."""
        return self._about.about(search, self._owner, self._journal)

    def _refusal(self, asked: AskedBatch, seen: Seen, moment: Moment) -> SafeRoomError | None:
        """Tell why a batch may not begin; none if it may."""
        try:
            seen.require_fresh_nonce()
            allowed_use(asked, self._rules, moment.now)
        except SafeRoomError as refusal:
            if refusal.reason in PASSING:
                raise
            return refusal
        return None

    def _judged(self, batch: Batch, moment: Moment) -> tuple[Progress | None, int | None]:
        asked, progress = batch.asked, batch.progress
        if progress is None:
            seen = self._requests.look_up(asked.request, asked.request_id)
            refusal = self._refusal(asked, seen, moment)
            if refusal is not None:
                return None, self._refuse(asked, seen, refusal, moment)
            self._requests.begin(asked.request, asked.request_id)
            self._about.begin(asked.request_id, asked.envelope)
            progress = self._new(asked)
        progress = self._after_chunk(batch, progress, moment)
        self._kept.write(asked.request_id, progress)
        if progress.judged < asked.request.rows:
            return progress, None
        return progress, self._finish(asked, progress, moment)

    def _new(self, asked: AskedBatch) -> Progress:
        secret = self._randomness(SECRET_BYTES)
        info = secret_info(asked.request_id, self._owner)
        return Progress(
            secret=b64(secret), sealed=b64(hpke.seal(asked.reply_key, secret, info=info))
        )

    def _after_chunk(self, batch: Batch, progress: Progress, moment: Moment) -> Progress:
        if batch.rows is None:
            raise SafeRoomError(Reason.INTERNAL, "a batch is judged before its rows are there")
        first, request_id = progress.judged, batch.asked.request_id
        chunk = Chunk(first, batch.rows.slice(first, CHUNK_ROWS), batch.rows.repeated)
        released, span = self._chunks.judge(batch.asked, chunk, moment)
        when = When(milliseconds(moment.now), moment.grounds.stream.sequence).to_bytes()
        judged = JudgedRows(first, chunk.rows, when, released.records)
        salts = self._keys(batch.asked, progress).salts(first, chunk.count)
        root = Tree(judged.leaves(salts, request_id), suite_of(request_id)).root
        self._kept.write_chunk(request_id, judged)
        self._about.add(request_id, judged)
        return progress.after(span, released.answered, b64(root))

    def _finish(self, asked: AskedBatch, progress: Progress, moment: Moment) -> int:
        # Step 7: one word on all of it.
        payload = self._payload(asked, moment, None, progress)
        said = self._journal.append(payload, moment.now, sealed=unb64(progress.sealed))
        index = said.entry.chain_index
        self._requests.finish(asked.request, asked.request_id, index)
        self._about.finish(asked.request_id, index)
        return index

    def _refuse(self, asked: AskedBatch, seen: Seen, refusal: SafeRoomError, moment: Moment) -> int:
        self._log.info(
            "batch refused",
            request=asked.request_id,
            institution=asked.request.institution,
            reason=str(refusal.reason),
            detail=refusal.detail,
        )
        payload = self._payload(asked, moment, refusal.reason, None)
        index = self._journal.append(payload, moment.now).entry.chain_index
        self._requests.remember(asked.request, asked.request_id, seen, index)
        return index

    def _payload(
        self,
        asked: AskedBatch,
        moment: Moment,
        reason: Reason | None,
        progress: Progress | None,
    ) -> BatchRelease:
        request, grounds, suite = asked.request, moment.grounds, suite_of(asked.request_id)
        return BatchRelease(
            room=grounds.room,
            owner=grounds.owner,
            request=asked.request_id,
            institution=request.institution,
            endorsement=grounds.endorsement,
            charter=grounds.charter,
            template=request.template,
            certificate=request.certificate,
            agreement=asked.agreement.digest,
            outcome=Outcome.REFUSED if progress is None else Outcome.ANSWERED,
            reason=reason,
            answered=0 if progress is None else progress.answered,
            refused=0 if progress is None else progress.judged - progress.answered,
            root=None if progress is None else suite.named(progress.tree(suite).root),
            spans=() if progress is None else progress.spans,
            stream=grounds.stream,
            chain=self._journal.link,
            time=moment.now,
        )

    @property
    def _owner(self) -> str:
        return self._rules.standing.charter.charter.owner

    def _keys(self, asked: AskedBatch, progress: Progress) -> BatchKeys:
        return BatchKeys(unb64(progress.secret), asked.request_id, self._owner)
