"""A list's template in plain words: which register, who is on it, and on what condition."""

from __future__ import annotations

from collections.abc import Iterator

from saferoom_client.tongue import say, titled
from saferoom_client.values import TemplateView
from saferoom_proto.certificate import OwnerPart
from saferoom_proto.statements import ListedBy, Listing, Only, PickedBy


def describe_list_part(view: TemplateView, part: OwnerPart, listing: Listing) -> Iterator[str]:
    """Tell what an owner's enclave tells of a register."""
    yield say(
        "  {owner} ({title}) tells which firms stand in {table}, with their codes and of each row:",
        owner=part.owner,
        title=titled(view.charters[part.owner].charter.title),
        table=listing.table,
    )
    yield f"    {', '.join(listing.columns)}"
    for each in listing.only:
        yield _only(each)
    yield _by(listing.by)
    yield say(
        "    at most {most:,} firms of a list, the first in order of their codes, in pages of 200",
        most=listing.most,
    )
    yield say(
        "    as long as its schema calls each of these columns, and that with the firm's code,"
        " public by law (level 1): its enclave looks at every request"
    )
    yield say(
        "    what leaves: the values, word for word, to any institution with an agreement for"
        " such a purpose, of whichever district or industry it asks, without asking the firms;"
        " each of them is shown which lists told of it"
    )


def _only(only: Only) -> str:
    if not only.values:
        return say("    only rows without a value in {column}", column=only.column)
    return say(
        "    only rows whose {column} is one of: {values}",
        column=only.column,
        values=", ".join(only.values),
    )


def _by(by: ListedBy) -> str:
    if by.of is PickedBy.DIVISION:
        return say(
            "    the firms of a district: the division in their own code begins with the one that"
            " is asked for, of {fewest} digits at least",
            fewest=by.fewest,
        )
    return say(
        "    the firms of a district or industry: {column} of {table} begins with the code that is"
        " asked for, of {fewest} characters at least",
        column=by.column,
        table=by.table,
        fewest=by.fewest,
    )
