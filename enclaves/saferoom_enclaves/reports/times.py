"""How often a report or a page of a list was told to one institution, of the same records.

Neither is charged to a budget, and each that is told stays in the enclave's chain, sealed, for
good. Told again of the same records it says nothing new: without an end one institution could fill
the disk of every enclave. A list can be asked for by any code, also by one that nobody has: so its
pages are counted all together, too.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from saferoom_enclaves.rowform import read_part
from saferoom_enclaves.state import Row, State
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import CheckRequest, ListRequest
from saferoom_proto.statements.base import Part
from saferoom_proto.tables.rules import MOST_ANSWERS

_TABLE: Final = "reports"
MOST_PAGES_TOLD: Final = 2_000
"""Of one list: 25 pages for each of eighty districts; the smallest take some 40 MB."""


class _Times(Part):
    told: Annotated[int, Field(ge=1)]


class TimesReported:
    """Counts reports that were told, as often as tables may be: `MOST_ANSWERS` times.

    Args:
        state: the enclave's database, opened. All is done within its transactions.
    """

    def __init__(self, state: State) -> None:
        self._state: Final = state

    def require(self, request: CheckRequest | ListRequest, records: str) -> None:
        """Refuse to tell the same once more of the same records, given by their digest.

        Raises:
            SafeRoomError: `OVER_BUDGET`.
        """
        for counted, most in _counted(request, records):
            row = self._row(counted)
            if row is not None and read_part(row.content, _Times).told >= most:
                detail = f"this was told {most} times: the receipts hold it"
                raise SafeRoomError(Reason.OVER_BUDGET, detail)

    def count(self, request: CheckRequest | ListRequest, records: str) -> None:
        """Count what is told now."""
        for counted, _ in _counted(request, records):
            row = self._row(counted)
            told = 0 if row is None else read_part(row.content, _Times).told
            content = _Times(told=told + 1).model_dump_json().encode()
            self._state.put(_TABLE, self._key(counted), content, row)

    def _row(self, counted: tuple[str, ...]) -> Row | None:
        return self._state.get(_TABLE, self._key(counted))

    def _key(self, counted: tuple[str, ...]) -> bytes:
        return self._state.cipher.find(_TABLE, *counted)


def _counted(
    request: CheckRequest | ListRequest, records: str
) -> tuple[tuple[tuple[str, ...], int], ...]:
    """Give as what a question counts, and how often that may be told."""
    asked = (request.institution, request.template)
    if isinstance(request, CheckRequest):
        return (((*asked, request.subject, records), MOST_ANSWERS),)
    page = (*asked, request.code, str(request.page), records)
    return ((page, MOST_ANSWERS), ((*asked, records), MOST_PAGES_TOLD))
