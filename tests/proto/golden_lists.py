"""Frozen examples of lists: what is asked, what it can let out, what is told, and its receipt."""

from __future__ import annotations

from datetime import timedelta

from saferoom_proto.certificate import derive_certificate
from saferoom_proto.encoding import b64
from saferoom_proto.holdings import HeldList
from saferoom_proto.reports.list_receipt import ListReceipt
from saferoom_proto.reports.listed import LIST_SEAL, ListedFirm, OwnerList
from saferoom_proto.reports.told import Mark, MarkedColumn, ReportedColumn
from saferoom_proto.statements import (
    ColumnType,
    ListedBy,
    Listing,
    ListRequest,
    Only,
    Payload,
    PickedBy,
    Purpose,
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
    sealing,
    seed,
)


def list_template(by: ListedBy) -> Template:
    """Give a template of a list."""
    listing = Listing(
        owner="court",
        table="listed",
        columns=("case_no", "court"),
        only=(Only(column="grade", values=("A", "B")), Only(column="taken_off", values=())),
        by=by,
        most=1000,
    )
    return Template(
        room=ROOM,
        kind="List",
        name="public-list",
        title=TITLE,
        proposer="bank-a",
        signer=b64(CERTIFICATE),
        purposes=(Purpose.PRE_LOAN,),
        listing=listing,
    )


def list_statements() -> dict[str, Payload]:
    """Give templates of lists, what one can let out, and a request."""
    by_column = ListedBy(of=PickedBy.COLUMN, table="trades", column="trade", fewest=3)
    template = list_template(by_column)
    request = ListRequest(
        room=ROOM,
        institution="bank-a",
        template=digest("template"),
        certificate=digest("certificate"),
        code="C26",
        page=2,
        purpose=Purpose.PRE_LOAN,
        nonce=b64(seed("nonce")[:16]),
        not_before=AT,
        not_after=AT + timedelta(minutes=10),
        reply_key=b64(sealing("reply").public),
    )
    return {
        "template of a list": template,
        "template of a list by division": list_template(ListedBy(of=PickedBy.DIVISION, fewest=6)),
        "release-certificate of a list": derive_certificate(
            seal_statement(template, key("desk")), {}
        ),
        "list-request": request,
    }


def owner_list() -> OwnerList:
    """Make a page: a firm with two rows, and a mark."""
    columns = tuple(
        ReportedColumn(name=name, title=TITLE, type=ColumnType.TEXT)
        for name in ("case_no", "court")
    )
    firm = ListedFirm(
        subject=SUBJECT,
        rows=(("2024-1", None), ("2025-3", "Weidong")),
        marks=(MarkedColumn(column="court", mark=Mark.DISPUTED, since=AT),),
    )
    return OwnerList(
        room=ROOM,
        owner="court",
        title=TITLE,
        request=digest("list request"),
        template=digest("template"),
        code="C26",
        page=1,
        firms=1,
        more=False,
        store=STORE,
        schema_digest=digest("schema"),
        table="listed",
        table_title=TITLE,
        columns=columns,
        listed=(firm,),
        at=AT,
        salt=b64(seed("salt")),
    )


def list_receipt() -> ListReceipt:
    """Make a receipt file; its envelopes are not, since only the form matters here."""
    return ListReceipt(
        request="request",
        template="template",
        certificate="{}",
        owner="court",
        charters=("charter",),
        features=(),
        approvals=("approval",),
        agreement="agreement",
        endorsement="endorsement",
        release="release",
        salt=b64(seed("salt")),
        proof="proof",
        page="{}",
    )


def lists_formats() -> dict[str, str]:
    """Give every format of lists that is sealed, hashed or kept."""
    told = owner_list().to_bytes()
    held = HeldList(question="question", word="word", salt=b64(seed("salt")))
    return {
        "owner list": told.rstrip().decode(),
        "owner list seal info": LIST_SEAL.info(digest("list request"), "court").decode(),
        "held list": held.model_dump_json(),
        "list receipt": list_receipt().to_json().decode(),
    }
