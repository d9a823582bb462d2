"""Steps 7 and 8 of a check: the answer is computed under seal, and let out in one way only.

Beside it the way on which a subject sees what is held about it, which passes here too.

A feature's value exists outside the index only inside `execute`, and the answer only inside a
`Sealed`, which nothing but `Gate.release` opens: into 50 bytes sealed to the asker. What is held
about a subject is read inside `collect`, and opened by `Gate.disclose`: sealed to that subject.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import InitVar, dataclass
from datetime import datetime
from typing import Final, Generic, Protocol, TypeVar, final

from saferoom_enclaves.admit import Admitted, Asked, AskedList
from saferoom_enclaves.appraise import Appraised
from saferoom_enclaves.charge import Charged
from saferoom_enclaves.claim import Claimed
from saferoom_enclaves.evidence import Evidence, Hidden, Right
from saferoom_enclaves.held import Held, Reading
from saferoom_enclaves.journal import Journal, Judged
from saferoom_enclaves.offers import Matching
from saferoom_enclaves.pairing import ShareContext
from saferoom_enclaves.scores.index import BandIndex
from saferoom_proto import holdings, hpke
from saferoom_proto.answer import (
    SALT_BYTES,
    Answer,
    Band,
    Told,
    Truth,
    commitment,
    seal_info,
    truth_of,
)
from saferoom_proto.blind import Offer
from saferoom_proto.encoding import b64
from saferoom_proto.formula import FeatureRef, evaluate
from saferoom_proto.holdings import Holdings
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.shares import Share
from saferoom_proto.stated import TAG_BYTES
from saferoom_proto.statements import (
    ChainLink,
    Charge,
    CostEstimate,
    Disclosure,
    Outcome,
    Release,
    StoreState,
    StreamPosition,
)
from saferoom_proto.statements.score import ScorePart
from saferoom_proto.suite import suite_of

T = TypeVar("T")


class CellIndex(Protocol):
    """The materialised features of the snapshot in force."""

    @property
    def features(self) -> frozenset[FeatureRef]:
        """Which features there are."""
        ...

    def cells(self, subject: str, names: Iterable[FeatureRef]) -> tuple[int | None, ...]:
        """Give a subject's cell of each feature, in the order of the names; none is unknown."""
        ...

    def matches(self, subject: str, name: FeatureRef, said: str) -> bool:
        """Tell whether what is held of a subject's feature is what is stated, in its form."""
        ...

    def tag(self, subject: str, name: FeatureRef) -> bytes | None:
        """Give what stands for the value that is held of a subject's feature; none if none is."""
        ...


class _Execution(Right):
    __slots__ = ()


class _Releasing(Right):
    __slots__ = ()


_EXECUTED: Final = _Execution()
_RELEASED: Final = _Releasing()


@final
class Sealed(Hidden, Generic[T]):
    """A value that depends on a record. It cannot be shown, compared, tested, kept or copied."""

    __slots__ = ("_value",)

    def __init__(self, right: _Execution, value: T) -> None:
        _EXECUTED.require(right)
        self._value: Final = value

    def open(self, right: _Releasing) -> T:
        """Give the value to the gate, and to nobody else."""
        _RELEASED.require(right)
        return self._value


@final
@dataclass(frozen=True, slots=True, eq=False)
class Released(Evidence):
    """The enclave's word on a question, in its chain: the release, and the sealed answer if any."""

    right: InitVar[_Releasing]
    judged: Judged

    def __post_init__(self, right: _Releasing) -> None:
        _RELEASED.require(right)


@dataclass(frozen=True, slots=True)
class Grounds:
    """Under what a release is made: who speaks, how far it had followed, from which store."""

    room: str
    owner: str
    endorsement: str
    charter: str
    stream: StreamPosition
    store: StoreState | None

    @property
    def epoch(self) -> int:
        """The period that its questions are charged to; 0 before there is a store."""
        return 0 if self.store is None else self.store.epoch


@dataclass(frozen=True, slots=True)
class Moment:
    """Under what, and when, something is judged."""

    grounds: Grounds
    now: datetime


def execute(
    charged: Charged, index: CellIndex | BandIndex, matching: Matching | None = None
) -> Sealed[Told | Offer]:
    """Answer a question about one subject's record.

    Of a conjunction give this owner's share; to the first message of a blind match an offer.
    """
    admitted = charged.admitted
    bound, subject = admitted.bound, admitted.asked.request.subject
    if isinstance(bound.formula, ScorePart) or isinstance(index, BandIndex):
        if not (isinstance(bound.formula, ScorePart) and isinstance(index, BandIndex)):
            raise SafeRoomError(Reason.INTERNAL, "a score is read from its bands, and no check is")
        return Sealed(_EXECUTED, _score(admitted, index.band(subject)))
    names = tuple(admitted.use.features)
    cells = dict(zip(names, index.cells(subject, names), strict=True))
    for name, said in bound.stated.items():
        # Compared whatever is held: the work done does not depend on the record.
        if matching is None:
            matches = index.matches(subject, name, said)
        elif matching.ciphertext is None:
            return Sealed(_EXECUTED, _offer(matching, index.tag(subject, name)))
        else:
            matching.used()
            matches = matching.key.is_zero(matching.ciphertext)
        cells[name] = None if cells[name] is None else int(matches)
    truth, hiding = truth_of(evaluate(bound.formula, cells)), admitted.use.hiding
    if hiding is None:
        return Sealed(_EXECUTED, truth)
    place = ShareContext(admitted.asked.request_id).of_row()
    return Sealed(_EXECUTED, hiding.share(truth is Truth.YES, place))


def _score(admitted: Admitted, told: Truth | Band) -> Truth | Band | Share:
    """Give a band, or of a score of several owners this owner's share of the sum."""
    hiding = admitted.use.hiding
    if hiding is None:
        return told
    if not isinstance(told, Band):
        raise SafeRoomError(Reason.INTERNAL, "a part of a sum lies in a band")
    return hiding.part(told.number - 1, ShareContext(admitted.asked.request_id).of_row())


def _offer(matching: Matching, held: bytes | None) -> Offer:
    """Encrypt what is held, or where nothing is, what nobody states."""
    nothing = secrets.token_bytes(TAG_BYTES)
    matching.used()
    return matching.key.offer(nothing if held is None else held)


def collect(claimed: Claimed, reading: Reading) -> Sealed[Held]:
    """Read what is held about the subject that asks, and about nobody else; in any thread."""
    if reading.subject != claimed.request.subject:
        raise SafeRoomError(Reason.INTERNAL, "of another subject than asked")
    return Sealed(_EXECUTED, reading.read())


class Gate:
    """Lets answers and refusals out, each as the next entry of the enclave's chain.

    Args:
        journal: the enclave's chain. All is done within its state's transactions.
        randomness: gives so many random bytes.
    """

    def __init__(self, journal: Journal, randomness: Callable[[int], bytes]) -> None:
        self._journal: Final = journal
        self._randomness: Final = randomness

    def release(self, charged: Charged, sealed: Sealed[Told | Offer], moment: Moment) -> Released:
        """Seal an answer to its asker, and sign what may be known of it."""
        asked, part = charged.admitted.asked, charged.admitted.use.part
        told, salt = sealed.open(_RELEASED), self._randomness(SALT_BYTES)
        if isinstance(told, Offer):
            answer = told.to_answer(salt)
        else:
            banded = part.score is not None and not part.shared
            reasoned = part.score is not None and part.score.reasons > 0
            answer = Answer(told, salt, scored=banded, reasoned=reasoned).to_bytes()
        info = seal_info(asked.request_id, moment.grounds.owner)
        consent = charged.admitted.consent
        payload = answer_word(
            asked,
            moment,
            self._journal.link,
            outcome=Outcome.ANSWERED,
            reason=None,
            approvals=charged.admitted.use.approvals,
            consent=None if consent is None else consent.digest,
            charges=charged.charges,
            answer=commitment(answer, suite_of(asked.request_id)),
        )
        to_asker = hpke.seal(asked.reply_key, answer, info=info)
        return Released(_RELEASED, self._journal.append(payload, moment.now, sealed=to_asker))

    def refuse(
        self,
        asked: Asked | AskedList,
        reason: Reason,
        moment: Moment,
        charges: tuple[Charge, ...] = (),
    ) -> Released:
        """Sign a refusal; what was charged before it stays charged."""
        payload = answer_word(
            asked,
            moment,
            self._journal.link,
            outcome=Outcome.REFUSED,
            reason=reason,
            approvals=(),
            consent=None,
            charges=charges,
            answer=None,
        )
        return Released(_RELEASED, self._journal.append(payload, moment.now))

    def tell(self, appraised: Appraised, moment: Moment) -> Released:
        """Sign what a question would cost; it depends on no record, so it needs no seal."""
        inquired, request = appraised.inquired, appraised.inquired.request
        grounds = moment.grounds
        payload = CostEstimate(
            room=grounds.room,
            owner=grounds.owner,
            request=inquired.request_id,
            institution=request.institution,
            endorsement=grounds.endorsement,
            charter=grounds.charter,
            template=request.template,
            certificate=request.certificate,
            agreement=inquired.agreement.digest,
            stream=grounds.stream,
            store=grounds.store,
            refused=appraised.refused,
            features=appraised.prices.features,
            families=appraised.prices.families,
            chain=self._journal.link,
            time=moment.now,
        )
        return Released(_RELEASED, self._journal.append(payload, moment.now))

    def disclose(self, claimed: Claimed, sealed: Sealed[Held], moment: Moment) -> Released:
        """Seal what is held about a subject to that subject, and sign what may be known of it.

        Raises:
            SafeRoomError: `TOO_LARGE` if there is more than can be sent.
        """
        request, held = claimed.request, sealed.open(_RELEASED)
        grounds = moment.grounds
        told = Holdings(
            room=grounds.room,
            owner=grounds.owner,
            subject=request.subject,
            request=claimed.request_id,
            store=held.store,
            schema_digest=held.schema,
            tables=held.tables,
            features=held.features,
            accounts=held.accounts,
            batches=held.batches,
            earlier=held.earlier,
            lists=held.lists,
            earlier_lists=held.earlier_lists,
            salt=b64(self._randomness(SALT_BYTES)),
        )
        plaintext = told.fitted().to_bytes()
        payload = Disclosure(
            room=grounds.room,
            owner=grounds.owner,
            request=claimed.request_id,
            subject=request.subject,
            endorsement=grounds.endorsement,
            charter=grounds.charter,
            stream=grounds.stream,
            store=held.store,
            schema_digest=held.schema,
            answer=holdings.commitment(plaintext, suite_of(claimed.request_id)),
            chain=self._journal.link,
            time=moment.now,
        )
        to_subject = holdings.seal_holdings(
            plaintext, claimed.reply_key, claimed.request_id, grounds.owner
        )
        return Released(_RELEASED, self._journal.append(payload, moment.now, sealed=to_subject))


def answer_word(
    asked: Asked | AskedList,
    moment: Moment,
    link: ChainLink,
    *,
    outcome: Outcome,
    reason: Reason | None,
    approvals: tuple[str, ...],
    consent: str | None,
    charges: tuple[Charge, ...],
    answer: str | None,
) -> Release:
    """Write the enclave's word on a question, as the next link of its chain."""
    request, grounds = asked.request, moment.grounds
    return Release(
        room=grounds.room,
        owner=grounds.owner,
        request=asked.request_id,
        institution=request.institution,
        endorsement=grounds.endorsement,
        charter=grounds.charter,
        template=request.template,
        certificate=request.certificate,
        approvals=approvals,
        agreement=asked.agreement.digest,
        consent=consent,
        stream=grounds.stream,
        store=grounds.store,
        outcome=outcome,
        reason=reason,
        charges=charges,
        answer=answer,
        chain=link,
        time=moment.now,
    )
