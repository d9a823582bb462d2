"""How often a report was told to one institution, of one subject and the same records.

A report is charged to no budget, and each that is told stays in the enclave's chain, sealed, for
good. Told again of the same records it says nothing new: without an end one institution could fill
the disk of every enclave.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from saferoom_enclaves.rowform import read_part
from saferoom_enclaves.state import Row, State
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import CheckRequest
from saferoom_proto.statements.base import Part
from saferoom_proto.tables.rules import MOST_ANSWERS

_TABLE: Final = "reports"


class _Times(Part):
    told: Annotated[int, Field(ge=1)]


class TimesReported:
    """Counts reports that were told, as often as tables may be: `MOST_ANSWERS` times.

    Args:
        state: the enclave's database, opened. All is done within its transactions.
    """

    def __init__(self, state: State) -> None:
        self._state: Final = state

    def require(self, request: CheckRequest, records: str) -> None:
        """Refuse to tell a report once more of the same records, given by their digest.

        Raises:
            SafeRoomError: `OVER_BUDGET`.
        """
        row = self._row(request, records)
        if row is not None and read_part(row.content, _Times).told >= MOST_ANSWERS:
            detail = f"this report was told {MOST_ANSWERS} times: the receipts hold it"
            raise SafeRoomError(Reason.OVER_BUDGET, detail)

    def count(self, request: CheckRequest, records: str) -> None:
        """Count a report that is told now."""
        row = self._row(request, records)
        told = 0 if row is None else read_part(row.content, _Times).told
        content = _Times(told=told + 1).model_dump_json().encode()
        self._state.put(_TABLE, self._key(request, records), content, row)

    def _row(self, request: CheckRequest, records: str) -> Row | None:
        return self._state.get(_TABLE, self._key(request, records))

    def _key(self, request: CheckRequest, records: str) -> bytes:
        asked = (request.institution, request.template, request.subject)
        return self._state.cipher.find(_TABLE, *asked, records)
