"""Frozen examples of reports: what is asked, what it can let out, what is told, and its receipt."""

from __future__ import annotations

from saferoom_proto.certificate import derive_certificate
from saferoom_proto.encoding import b64
from saferoom_proto.reports.receipt import ReportReceipt, ReportReceiptPart
from saferoom_proto.reports.told import (
    REPORT_SEAL,
    Mark,
    MarkedColumn,
    OwnerReport,
    ReportedColumn,
    ReportedTable,
    commitment,
)
from saferoom_proto.statements import (
    ColumnType,
    Payload,
    Purpose,
    Report,
    ReportTable,
    Template,
    seal_statement,
)
from tests.proto.golden_seeds import (
    AT,
    CERTIFICATE,
    ROOM,
    STORE,
    SUBJECT,
    TITLE,
    digest,
    key,
    seed,
)


def report_templates() -> dict[str, Payload]:
    """Give a template of a report of two owners, and what it can let out."""
    tables = (
        ReportTable(owner="tax", table="grades", columns=("grade", "year")),
        ReportTable(owner="court", table="listed", columns=("case_no",)),
    )
    template = Template(
        room=ROOM,
        kind="Report",
        name="public-report",
        title=TITLE,
        proposer="bank-a",
        signer=b64(CERTIFICATE),
        purposes=(Purpose.PRE_LOAN, Purpose.POST_LOAN),
        report=Report(tables=tables),
    )
    certificate = derive_certificate(seal_statement(template, key("desk")), {})
    return {"template of a report": template, "release-certificate of a report": certificate}


def owner_report() -> OwnerReport:
    """Make an owner's part: a value, none, and a mark of each kind."""
    columns = tuple(
        ReportedColumn(name=name, title=TITLE, type=kind)
        for name, kind in (("grade", ColumnType.TEXT), ("year", ColumnType.BIGINT))
    )
    marks = (
        MarkedColumn(column="grade", mark=Mark.DISPUTED, since=AT),
        MarkedColumn(column="year", mark=Mark.CORRECTED, since=AT, epoch=4),
    )
    table = ReportedTable(
        name="grades",
        title=TITLE,
        columns=columns,
        rows=(("A", "2024"), (None, "2025")),
        marks=marks,
    )
    return OwnerReport(
        room=ROOM,
        owner="tax",
        title=TITLE,
        subject=SUBJECT,
        request=digest("report request"),
        template=digest("template"),
        store=STORE,
        schema_digest=digest("schema"),
        tables=(table,),
        at=AT,
        salt=b64(seed("salt")),
    )


def report_receipt() -> ReportReceipt:
    """Make a receipt file; its envelopes are not, since only the form matters here."""
    part = ReportReceiptPart(
        owner="tax",
        charters=("charter",),
        approvals=("approval",),
        agreement="agreement",
        endorsement="endorsement",
        release="release",
        salt=b64(seed("salt")),
        proof="proof",
        report="{}",
    )
    return ReportReceipt(request="request", template="template", certificate="{}", parts=(part,))


def reports_formats() -> dict[str, str]:
    """Give every format of reports that is sealed, hashed or kept."""
    told = owner_report().to_bytes()
    return {
        "owner report": told.rstrip().decode(),
        "owner report length": str(len(told)),
        "owner report commitment": commitment(told),
        "owner report seal info": REPORT_SEAL.info(digest("report request"), "tax").decode(),
        "report receipt": report_receipt().to_json().decode(),
    }
