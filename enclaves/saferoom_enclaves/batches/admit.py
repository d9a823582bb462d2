"""Step 3 of a batch: which of its rows are allowed (`docs/life-of-a-batch.md`).

Whose batch it is, and what the owner approved, is looked at once for each chunk, by the rules of
single checks; consent for each row by itself. Nothing here looks at a record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import InitVar, dataclass
from datetime import datetime
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from saferoom_enclaves.admit import Rules, agreed, approved_use, require_model
from saferoom_enclaves.approved import ApprovedUse, BoundUse
from saferoom_enclaves.consent_index import Digests
from saferoom_enclaves.consents import Covering
from saferoom_enclaves.evidence import Evidence, Right
from saferoom_enclaves.standing import Standing
from saferoom_proto import hpke
from saferoom_proto.batch import CONSENT_BYTES
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import unb64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import BatchRequest, load
from saferoom_proto.verification import PinnedAgreement

Places = NDArray[np.int64]
"""Rows by their place in their chunk."""


class _Identification(Right):
    __slots__ = ()


class _Admission(Right):
    __slots__ = ()


_BATCH_IDENTIFIED: Final = _Identification()
_ROWS_ADMITTED: Final = _Admission()


@final
@dataclass(frozen=True, slots=True, eq=False)
class AskedBatch(Evidence):
    """A batch that a known institution signed."""

    right: InitVar[_Identification]
    envelope: Envelope
    request: BatchRequest
    reply_key: bytes
    agreement: PinnedAgreement

    def __post_init__(self, right: _Identification) -> None:
        _BATCH_IDENTIFIED.require(right)

    @property
    def request_id(self) -> str:
        """The digest by which everybody knows the batch."""
        return self.envelope.digest


@dataclass(frozen=True, slots=True)
class Wanted:
    """Rows with the same parameters, no subject of which stands there twice.

    Attributes:
        parameters: the number of their parameters.
        places: in their chunk.
        subjects: their codes.
    """

    parameters: int
    places: Places
    subjects: list[bytes]


@final
@dataclass(frozen=True, slots=True, eq=False)
class AdmittedRows(Evidence):
    """Rows that the owner, the agreement and their subjects allow.

    Attributes:
        asked: the batch.
        use: what the owner approved.
        bound: its formula with these rows' parameters.
        rows: the rows.
        consents: digests of the consents that cover them, of shape (rows, 32); zeros for none.
        limited: those with a number of uses, by their place here.
    """

    right: InitVar[_Admission]
    asked: AskedBatch
    use: ApprovedUse
    bound: BoundUse
    rows: Wanted
    consents: Digests
    limited: Mapping[int, Covering]

    def __post_init__(self, right: _Admission) -> None:
        _ROWS_ADMITTED.require(right)


@dataclass(frozen=True, slots=True)
class NotAdmitted:
    """Rows that are refused, by their place in their chunk, each with the code of the refusal."""

    places: Places
    codes: NDArray[np.uint8]


def identify_batch(envelope: Envelope, standing: Standing, now: datetime) -> AskedBatch:
    """Find out whose batch it is; as `admit.identify`.

    Raises:
        SafeRoomError: `MALFORMED`, `NO_AGREEMENT` or `BAD_SIGNATURE`; none of these is recorded.
    """
    request = load(envelope, BatchRequest)
    reply_key = unb64(request.reply_key)
    hpke.require_public(reply_key)
    agreement = agreed(envelope, request, standing, now)
    return AskedBatch(_BATCH_IDENTIFIED, envelope, request, reply_key, agreement)


def allowed_use(asked: AskedBatch, rules: Rules, now: datetime) -> ApprovedUse:
    """Hold a batch to all that was said about it as a whole.

    Raises:
        SafeRoomError: the reason is the verdict on all of its rows.
    """
    use = approved_use(asked.request, rules, now)
    if use.states:
        raise SafeRoomError(Reason.NOT_ALLOWED, "a value is stated of one subject at a time")
    if use.fetched:
        raise SafeRoomError(Reason.NOT_ALLOWED, "a source is asked about one subject at a time")
    for params in asked.request.params:
        use.bound(params)
    require_model(use, asked.request.template, asked.agreement, rules)
    return use


def admit_rows(
    asked: AskedBatch, use: ApprovedUse, rows: Wanted, rules: Rules, now: datetime
) -> tuple[AdmittedRows, NotAdmitted]:
    """Hold each row to its subject's consent."""
    bound = use.bound(asked.request.params[rows.parameters])
    if not use.part.needs_consent:
        none = np.zeros((len(rows.subjects), CONSENT_BYTES), dtype=np.uint8)
        empty = NotAdmitted(rows.places[:0], np.zeros(0, np.uint8))
        return AdmittedRows(_ROWS_ADMITTED, asked, use, bound, rows, none, {}), empty
    found = rules.consents.covering_rows(asked.request, rows.subjects, use.definitions, now)
    let_in = np.flatnonzero(found.codes == 0)
    refused = np.flatnonzero(found.codes)
    limited = found.limited
    if len(refused):
        at = {before: after for after, before in enumerate(let_in.tolist())}
        limited = {at[place]: covering for place, covering in limited.items()}
        subjects = [rows.subjects[place] for place in let_in.tolist()]
        rows, places = Wanted(rows.parameters, rows.places[let_in], subjects), rows.places
    else:
        places = rows.places
    admitted = AdmittedRows(_ROWS_ADMITTED, asked, use, bound, rows, found.digests[let_in], limited)
    return admitted, NotAdmitted(places[refused], found.codes[refused])
