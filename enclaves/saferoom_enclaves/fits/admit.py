"""Whose request for a training it is, and whether it is allowed. Nothing here looks at a record."""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from datetime import datetime
from typing import Final, final

from saferoom_enclaves.admit import Rules, agreed, require_of_now
from saferoom_enclaves.evidence import Evidence, Right
from saferoom_enclaves.fits.approved import ApprovedFit, approved_fit
from saferoom_enclaves.jobs.admit import require_within
from saferoom_enclaves.requests import Seen
from saferoom_enclaves.standing import Standing
from saferoom_proto import hpke
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import unb64
from saferoom_proto.statements import FitRequest, load
from saferoom_proto.verification import PinnedAgreement


class _Identification(Right):
    __slots__ = ()


class _Admission(Right):
    __slots__ = ()


_FIT_IDENTIFIED: Final = _Identification()
_FIT_ADMITTED: Final = _Admission()


@final
@dataclass(frozen=True, slots=True, eq=False)
class AskedFit(Evidence):
    """A request for a training that a known institution signed."""

    right: InitVar[_Identification]
    envelope: Envelope
    request: FitRequest
    reply_key: bytes
    agreement: PinnedAgreement

    def __post_init__(self, right: _Identification) -> None:
        _FIT_IDENTIFIED.require(right)

    @property
    def job(self) -> str:
        """The digest by which everybody knows it."""
        return self.envelope.digest

    @property
    def group(self) -> str:
        """The group of the institution that asks."""
        return self.agreement.agreement.group


@final
@dataclass(frozen=True, slots=True, eq=False)
class AdmittedFit(Evidence):
    """A request for a training that the owner and the agreement allow."""

    right: InitVar[_Admission]
    asked: AskedFit
    use: ApprovedFit

    def __post_init__(self, right: _Admission) -> None:
        _FIT_ADMITTED.require(right)


def identify_fit(envelope: Envelope, standing: Standing, now: datetime) -> AskedFit:
    """Find out whose request it is; as `admit.identify`.

    Raises:
        SafeRoomError: `MALFORMED`, `NO_AGREEMENT` or `BAD_SIGNATURE`; none of these is recorded.
    """
    request = load(envelope, FitRequest)
    reply_key = unb64(request.reply_key)
    hpke.require_public(reply_key)
    agreement = agreed(envelope, request, standing, now)
    return AskedFit(_FIT_IDENTIFIED, envelope, request, reply_key, agreement)


def admit_fit(asked: AskedFit, seen: Seen, rules: Rules, now: datetime) -> AdmittedFit:
    """Hold a request to all that was said about such requests, cheapest first.

    Raises:
        SafeRoomError: the reason is the verdict that is recorded.
    """
    request = asked.request
    seen.require_fresh_nonce()
    require_of_now(request, rules, now)
    use = approved_fit(rules.standing, request.template, request.certificate)
    require_within(request, use.fit)
    return AdmittedFit(_FIT_ADMITTED, asked, use)
