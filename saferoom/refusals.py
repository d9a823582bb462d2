"""Refusals of one request: recorded, and told with the request they answer."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from saferoom import uses
from saferoom.notary import Notary
from saferoom.signing import Signer
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import Refusal
from saferoom_proto.statements.base import whole_milliseconds

_REMEMBERED: Final = 4096


@dataclass(frozen=True, slots=True)
class Word:
    """One owner's word on a request, or the room's.

    Attributes:
        owner: whose; none where the room itself refused.
        refused: why, if it did.
        sealed: the answer, sealed to the asker; empty for a refusal.
        consent: digest of the consent it was given under, if it needed one.
    """

    owner: str | None
    refused: Reason | None
    sealed: bytes
    consent: str | None = None


class RequestRefusedError(SafeRoomError):
    """A refusal that names the request it answers, and the owner whose enclave refused.

    Args:
        reason: what the other side is told.
        detail: for the operator's log; never a value of a record.
        fields: faults in fields that the asker itself wrote.
        request_id: digest of the request's signed bytes.
        owner: whose enclave refused; none if the room did.
    """

    def __init__(
        self,
        reason: Reason,
        detail: str = "",
        fields: Sequence[FieldFault] = (),
        *,
        request_id: str,
        owner: str | None = None,
    ) -> None:
        super().__init__(reason, detail, fields)
        self.request_id: Final = request_id
        self.owner: Final = owner

    @property
    def metadata(self) -> Mapping[str, str]:
        """What goes beside the reason."""
        told = {"request_id": self.request_id}
        if self.owner is not None:
            told["owner"] = self.owner
        return MappingProxyType(told)


class Refusals:
    """Records refusals that no enclave recorded.

    Args:
        origin: the room's name.
        signer: signs them.
        notary: records them.
        clock: gives the instant.
    """

    def __init__(
        self, origin: str, signer: Signer, notary: Notary, clock: Callable[[], datetime]
    ) -> None:
        self._origin: Final = origin
        self._signer: Final = signer
        self._notary: Final = notary
        self._clock: Final = clock
        self._recorded: Final[OrderedDict[tuple[object, ...], None]] = OrderedDict()

    async def record(
        self, error: SafeRoomError, *, institution: str, question: Envelope, owner: str | None
    ) -> RequestRefusedError:
        """Record a refusal, and make what its asker is told.

        The same refusal of the same request is recorded once: who tries again and again does not
        fill the log.

        Args:
            error: why.
            institution: who asked.
            question: what was asked.
            owner: whose enclave refused without a verdict; none if the room did.
        """
        request_id = question.digest
        key = (institution, request_id, owner, error.reason)
        if key not in self._recorded:
            refusal = Refusal(
                room=self._origin,
                request=request_id,
                institution=institution,
                owner=owner,
                reason=error.reason,
                time=whole_milliseconds(self._clock()),
            )
            statement = self._signer.seal(refusal)
            await self._notary.record(
                Refusal,
                Word(owner, error.reason, b""),
                statement,
                rows=uses.refused(question, institution, owner),
            )
            self._recorded[key] = None
            if len(self._recorded) > _REMEMBERED:
                self._recorded.popitem(last=False)
        return RequestRefusedError(
            error.reason, error.detail, error.fields, request_id=request_id, owner=owner
        )
