"""Which tables a city has, in which files they lie, and which category's firms fill them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from saferoom_city.administration import administrative
from saferoom_city.days import Days
from saferoom_city.firm import Firm, make_firm
from saferoom_city.housing_fund import housing_fund
from saferoom_city.insurance import social_insurance
from saferoom_city.judicial import judicial
from saferoom_city.loans import HEADING, LOANS, loan
from saferoom_city.pieces import Rows
from saferoom_city.places import agriculture, customs, environment
from saferoom_city.property import real_estate
from saferoom_city.registration import registration
from saferoom_city.rights import science, software_copyrights, trademarks_and_patents
from saferoom_city.tax import tax
from saferoom_city.tenders import public_resource
from saferoom_city.utilities import utilities
from saferoom_client.records.annex import Catalogue, catalogue
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

_Filling = Callable[[Firm, Days, Rows], None]
_FILLED_BY: Final[dict[str, _Filling]] = {
    "registration": registration,
    "judicial": judicial,
    "tax": tax,
    "housing_fund": housing_fund,
    "social_insurance": social_insurance,
    "environment": environment,
    "customs": customs,
    "trademark_patent": trademarks_and_patents,
    "software_copyright": software_copyrights,
    "real_estate": real_estate,
    "administrative": administrative,
    "utilities": utilities,
    "science_rd": science,
    "agriculture": agriculture,
    "public_resource": public_resource,
}
"""By the catalogue's categories."""
BANK: Final = "bank"
_BOM: Final = "\ufeff"
"""By which Excel knows UTF-8; `data load` takes it as none."""


@dataclass(frozen=True, slots=True)
class Page:
    """One file of a city.

    Attributes:
        table: its table.
        type_id: its information type; empty for the bank's own list.
        path: its place below the city's folder.
        heading: its first line.
    """

    table: str
    type_id: str
    path: str
    heading: str


def choose_pages(wanted: Sequence[str]) -> tuple[Page, ...]:
    """Give the files of a city, or of some of its types only.

    Args:
        wanted: types by their numbers, categories by their keys; none for all.

    Raises:
        SafeRoomError: `MALFORMED` naming what is neither.
    """
    known = catalogue()
    _require_known(known, wanted)
    pages = [
        Page(
            form.name,
            one.id,
            f"{one.category.key}/{form.name}.csv",
            _heading([column.zh for column in form.columns]),
        )
        for one in known.types
        for form in one.tables
        if not wanted or one.id in wanted or one.category.key in wanted
    ]
    if not wanted or BANK in wanted:
        pages.append(Page(LOANS, "", f"{BANK}/{LOANS}.csv", _heading(HEADING)))
    return tuple(pages)


def _require_known(known: Catalogue, wanted: Sequence[str]) -> None:
    names = {BANK, *_FILLED_BY, *(one.id for one in known.types)}
    if strange := [name for name in wanted if name not in names]:
        rule = f"{strange[0]}: no type or category of the catalogue, nor {BANK}"
        refusal = SafeRoomError(Reason.MALFORMED, rule, [FieldFault("--types", rule)])
        refusal.add_note("saferoom catalogue list")
        raise refusal


def _heading(names: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(names)
    return _BOM + text.getvalue()


class Filling:
    """Fills the tables of some pages, firm by firm.

    Args:
        seed: of the city.
        days: of the city.
        pages: the tables that are wanted; what stands in others is not kept.
    """

    def __init__(self, seed: int, days: Days, pages: Sequence[Page]) -> None:
        self._seed: Final = seed
        self._days: Final = days
        self._wanted: Final = [page.table for page in pages]
        categories = {page.path.partition("/")[0] for page in pages}
        known = [form.name for one in catalogue().types for form in one.tables]
        self._rows: Final = Rows((*known, LOANS))
        self._filled_by: Final = [
            filled_by for key, filled_by in _FILLED_BY.items() if key in categories
        ]
        if BANK in categories:
            self._filled_by.append(loan)

    def fill(self, first: int, after: int) -> dict[str, tuple[bytes, int]]:
        """Make the rows of some firms: by table, its lines and how many they are.

        Args:
            first: the first firm's number.
            after: that of the first one that is not made.
        """
        for number in range(first, after):
            firm = make_firm(self._seed, number)
            for filled_by in self._filled_by:
                filled_by(firm, self._days, self._rows)
        taken = self._rows.take()
        return {
            name: ("".join(f"{line}\n" for line in taken[name]).encode(), len(taken[name]))
            for name in self._wanted
        }
