"""A draft of a report's template: the columns of owners' tables that the catalogue calls public.

What is public is the owner's schema's word, which its enclave goes by: the catalogue's levels are
those that a schema begins with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from saferoom_client.records.annex import TableForm, catalogue
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import Purpose, ReportTable, Title
from saferoom_proto.statements.report import PUBLIC_LEVEL

SOURCE = "OWNER=TYPE"


def public_of(sources: Sequence[str]) -> tuple[ReportTable, ...]:
    """Give the public columns of types of the catalogue, each written as `OWNER=TYPE`.

    Raises:
        SafeRoomError: `MALFORMED` for what is not written so, no type, or a type of which the
            catalogue calls nothing public but the subject's code.
    """
    told: list[ReportTable] = []
    for source in sources:
        owner, _, number = source.partition("=")
        if not owner or not number:
            raise _bad(f"{source}: written as {SOURCE}, as court=2.4")
        found = list(_tables(owner, catalogue().type(number).tables))
        if not found:
            raise _bad(f"{number}: nothing of it is public by law, by the catalogue")
        told += found
    return tuple(told)


def written(
    name: str, title: Title, purposes: Iterable[Purpose], tables: Sequence[ReportTable]
) -> dict[str, object]:
    """Write a draft as people do in YAML."""
    return {
        "kind": "Report",
        "name": name,
        "title": title.model_dump(),
        "purposes": [str(each) for each in purposes],
        "report": {"tables": [each.model_dump(mode="json") for each in tables]},
    }


def _tables(owner: str, forms: Iterable[TableForm]) -> Iterator[ReportTable]:
    for form in forms:
        public = (each for each in form.columns if each.level <= PUBLIC_LEVEL)
        columns = tuple(each.name for each in public if each.name != form.key)
        if columns:
            yield ReportTable(owner=owner, table=form.name, columns=columns)


def _bad(rule: str) -> SafeRoomError:
    return SafeRoomError(Reason.MALFORMED, rule, [FieldFault("SOURCE", rule)])
