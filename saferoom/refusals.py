"""Refusals that belong to one request: what stands beside the reason on the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError


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
