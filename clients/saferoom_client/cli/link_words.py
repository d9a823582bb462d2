"""What became of the rows of linked tables, in words: as the enclave counted them, and before."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from saferoom_client.cli.rules_said import say_rule
from saferoom_client.cli.tables import table
from saferoom_client.tongue import say
from saferoom_client.values import LoadReport
from saferoom_proto.load_faults import LinkCount
from saferoom_proto.load_links import LEFT_RULES


def counted(links: Sequence[LinkCount]) -> list[str]:
    """Say how many rows of each linked table found their subject: the enclave's own count."""
    return [
        say(
            "your enclave, of {table}: {linked:,} rows linked; {unlinked:,} of numbers that the map"
            " has not, {ended:,} of nobody at their time, {ambiguous:,} of more than one subject",
            table=each.table,
            linked=each.linked,
            unlinked=each.unlinked,
            ended=each.ended,
            ambiguous=each.ambiguous,
        )
        for each in links
    ]


def link_lines(loaded: LoadReport, linked: Collection[str]) -> list[str]:
    """Say what became of the rows of linked tables, of a load that was taken.

    Args:
        loaded: the load.
        linked: the linked tables that it brought.
    """
    if linked and not loaded.links:
        return [
            say("your enclave's count of linked rows did not arrive; data check counts them here")
        ]
    unused = [
        say(
            "numbers of the map that lead to no row of {table}: {unused:,}",
            table=each.table,
            unused=each.unused,
        )
        for each in loaded.links
        if each.unused
    ]
    rows = [(row.table, str(row.line), row.column, say_rule(row.rule)) for row in loaded.left]
    headings = ("TABLE", "LINE", "COLUMN", "RULE")
    shown = [say("left out:"), *table(headings, rows)] if rows else []
    return [*counted(loaded.links), *unused, *shown]


def left_lines(left: Mapping[str, int], rejects: Path | None) -> list[str]:
    """Say how many rows would be left out, by what is found before a load."""
    lines = [
        say("{table}: {count:,} rows lead to no subject, or to two", table=name, count=count)
        for name, count in left.items()
    ]
    if left and rejects is not None:
        lines.append(say("the rows left out are in {path}", path=rejects))
    return lines


def left_out_next(rules: Iterable[str]) -> list[str]:
    """Say how a load goes on without the rows that lead to nobody, where there are such."""
    if set(rules).isdisjoint(LEFT_RULES):
        return []
    return [say("or leave out the rows that lead to no subject: --leave-unlinked")]


def links_document(loaded: LoadReport) -> dict[str, object]:
    """Give what became of the rows of linked tables, for programs."""
    return {
        "counts": [each.model_dump() for each in loaded.links],
        "left": [
            {"table": row.table, "line": row.line, "column": row.column, "rule": row.rule}
            for row in loaded.left
        ],
    }
