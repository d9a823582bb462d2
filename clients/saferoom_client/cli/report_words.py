"""A report's template in plain words: which columns, on what condition, and what else they tell."""

from __future__ import annotations

from collections.abc import Iterator

from saferoom_client.tongue import say, titled
from saferoom_client.values import TemplateView
from saferoom_proto.certificate import OwnerPart
from saferoom_proto.statements.report import ReportPart


def describe_report_part(view: TemplateView, part: OwnerPart, report: ReportPart) -> Iterator[str]:
    """Tell what an owner's enclave tells of a subject."""
    yield say(
        "  {owner} ({title}) tells every record about the subject, of these columns:",
        owner=part.owner,
        title=titled(view.charters[part.owner].charter.title),
    )
    for each in report.tables:
        yield f"    {each.table}: {', '.join(each.columns)}"
    yield say(
        "    as long as its schema calls each of them public by law (level 1): its enclave looks at"
        " every request"
    )
    yield say(
        "    what leaves: the values, word for word, to any institution with an agreement for"
        " such a purpose, without asking the subject and without a limit on how many subjects"
    )
    yield say(
        "    that a subject stands in a table at all is told with it: leave a table out where"
        " that is no public matter"
    )
