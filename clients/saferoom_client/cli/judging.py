"""A template as its judge sees it: in plain words, with the columns behind it and what changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from saferoom_client.cli.output import moment
from saferoom_client.cli.plainly import describe, view_document
from saferoom_client.cli.table_words import LEVELS
from saferoom_client.lineage import ColumnRead, columns_read
from saferoom_client.room import Room
from saferoom_client.tongue import say, titled
from saferoom_client.values import GrantedAgreement, Role, TemplateChanges, TemplateView


@dataclass(frozen=True, slots=True)
class Judged:
    """A template, and what an owner's approver is shown beside it.

    Attributes:
        view: verified.
        columns: what each of the owner's features reads, by its full name.
        agreements: those of the owner with the proposer.
        changes: since the version that the owner approved before; none if there was none.
        is_owner: whether this is an owner whose store the template asks.
    """

    view: TemplateView
    columns: dict[str, tuple[ColumnRead, ...]]
    agreements: tuple[GrantedAgreement, ...]
    changes: TemplateChanges | None
    is_owner: bool


def judge(room: Room, template: str) -> Judged:
    """Gather what bears on a template; an owner's approver gets more than others."""
    view = room.get_template(template)
    own = room.profile.member.organisation
    if own not in view.charters or Role.OWNER not in room.whoami().roles:
        return Judged(view, {}, (), None, is_owner=False)
    schema = room.get_schema()
    columns = {
        pinned.definition.full_name: columns_read(pinned.definition.sql, schema[0])
        for pinned in view.features.values()
        if schema is not None and pinned.definition.owner == own
    }
    agreements = tuple(
        each
        for each in room.list_agreements()
        if each.agreement.institution == view.template.proposer and not each.ended
    )
    return Judged(view, columns, agreements, room.changes_since_approval(view), is_owner=True)


def tell(judged: Judged) -> Iterator[str]:
    """Tell a person all of it."""
    yield from describe(judged.view)
    for name, columns in judged.columns.items():
        for read in columns:
            column = read.column
            level = say(
                "level {level}, {meaning}", level=column.level, meaning=say(LEVELS[column.level])
            )
            yield say(
                "  {name} reads {table}.{column}: {title} ({level})",
                name=name,
                table=read.table,
                column=column.name,
                title=titled(column.title),
                level=level,
            )
    if not judged.is_owner:
        return
    yield from _lasting(judged)
    changes = judged.changes
    if changes is None:
        yield say("  The room shows no earlier version that was approved.")
        return
    yield say("  Since the version approved before ({before}):", before=changes.before)
    yield from (f"    {word}" for word in changes.words)
    yield from (f"    {line}" for line in changes.lines)


def _lasting(judged: Judged) -> Iterator[str]:
    proposer = judged.view.template.proposer
    yield say(
        "  How long: until it is withdrawn, one of its features changes or a new charter comes,"
    )
    if not judged.agreements:
        yield say(
            "    and never before there is an agreement with {proposer}: there is none.",
            proposer=proposer,
        )
        return
    for each in judged.agreements:
        agreed = each.agreement
        span = say(
            "{start} to {end}",
            start=moment(agreed.valid_from),
            end=moment(agreed.valid_to),
        )
        yield say(
            "    and while an agreement is in force: {purposes}, {span}",
            purposes=", ".join(agreed.purposes),
            span=span,
        )


def judged_document(judged: Judged) -> dict[str, object]:
    """Write what `tell` says for a program."""
    changes = judged.changes
    return {
        **view_document(judged.view),
        "columns": {
            name: [
                {"table": each.table, "column": each.column.name, "level": each.column.level}
                for each in columns
            ]
            for name, columns in judged.columns.items()
        },
        "agreements": [each.digest for each in judged.agreements],
        "changes": None
        if changes is None
        else {"before": changes.before, "words": changes.words, "lines": changes.lines},
    }
