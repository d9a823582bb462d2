"""Tables as one page for people: a drawing of each, and what was withheld named as such."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from saferoom_client.bars import bars
from saferoom_client.sheet.render import html
from saferoom_client.sheet.rows import Form, Page, Row, Section, moment
from saferoom_client.stats import TableAnswer
from saferoom_client.sums import SumAnswer
from saferoom_client.table_words import all_together, heading, of_all
from saferoom_client.tongue import later, say, spoken
from saferoom_proto.reasons import Reason
from saferoom_proto.tables.plan import Margin
from saferoom_proto.tables.told import Told

MOST_BARS: Final = 48
"""Cells of one drawing: a page's height of bars. Larger tables are in the CSV file."""
MOST_DRAWINGS: Final = 40
"""Drawings of one page: past them a browser takes seconds to show it."""


_ROUNDED: Final = later(
    "What {owner}'s enclave told {institution} of all its subjects together, verified; numbers are"
    " rounded."
)
_NOISY: Final = later(
    "What {owner}'s enclave told {institution} of all its subjects together, verified; each number"
    " has noise of its own."
)
_SUMMED: Final = later(
    "What the enclaves of {owners} told {institution} of all their subjects together, added up and"
    " verified; each owner's numbers have noise of their own."
)


def write_page(answer: TableAnswer) -> str:
    """Write the page in the language that is spoken.

    Raises:
        SafeRoomError: `NOT_INSTALLED` without the library that draws.
    """
    verified = answer.verified
    release, tables = verified.release, verified.tables or ()
    return html(
        Page(
            language=spoken(),
            title=say("Tables of {template}", template=verified.template.name),
            lead=say(
                _ROUNDED if release.privacy is None else _NOISY,
                owner=release.owner,
                institution=release.institution,
            ),
            tone="yes",
            answer=of_all(tables),
            sections=(*_sections(tables), _whence(answer)),
        )
    )


def write_sum_page(answer: SumAnswer) -> str:
    """Write the page of a sum over owners; as `write_page`."""
    verified = answer.verified
    tables = verified.tables or ()
    return html(
        Page(
            language=spoken(),
            title=say("Tables of {template}", template=verified.template.name),
            lead=say(
                _SUMMED,
                owners=", ".join(verified.words),
                institution=verified.request.institution,
            ),
            tone="yes",
            answer=of_all(tables),
            sections=(*_sections(tables), _of_whom(answer)),
        )
    )


def _of_whom(answer: SumAnswer) -> Section:
    told = (
        Row(
            owner,
            say(
                "period {epoch}, told at {moment}, entry {index} of the log",
                epoch=0 if heard.release.store is None else heard.release.store.epoch,
                moment=moment(heard.release.time),
                index=heard.index,
            ),
        )
        for owner, heard in answer.verified.words.items()
    )
    return Section(say("Whence"), (*told, Row(say("request"), answer.verified.request_id)))


def _sections(tables: Sequence[Told]) -> Iterator[Section]:
    by_columns: dict[Margin, list[Told]] = {}
    for told in tables:
        by_columns.setdefault(told.columns, []).append(told)
    left = MOST_DRAWINGS
    for columns, alike in by_columns.items():
        rows: list[Row] = []
        for told in alike:
            name = heading(told.measure)
            drawn = len(told.cells) <= MOST_BARS and left > 0
            left -= drawn
            if drawn:
                rows.append(Row(name, _drawing(told), Form.DRAWING))
            else:
                rows.append(Row(name, say("too many to draw here: they are in the CSV file")))
        yield Section(", ".join(columns) or all_together(), tuple(rows))


def _drawing(told: Told) -> str:
    labels = [
        f"{' · '.join(cell.classes) or all_together()}: {cell.number or Reason.WITHHELD}"
        for cell in told.cells
    ]
    numbers = [0.0 if cell.number is None else float(cell.number) for cell in told.cells]
    return bars(labels, {heading(told.measure): numbers}, flat=True)


def _whence(answer: TableAnswer) -> Section:
    release = answer.verified.release
    return Section(
        say("Whence"),
        (
            Row(say("owner"), release.owner),
            Row(say("period"), "" if release.store is None else str(release.store.epoch)),
            Row(say("told at"), moment(release.time)),
            Row(say("request"), answer.verified.request_id),
            Row(say("entry of the log"), str(answer.verified.index)),
        ),
    )
