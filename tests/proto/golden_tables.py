"""Frozen examples of tables: what is asked, what an enclave signs about it, and what is told."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Final

from saferoom_proto.certificate import ReleaseCertificate, derive_certificate
from saferoom_proto.encoding import b64
from saferoom_proto.hpke import SealingKey
from saferoom_proto.pinned import pin
from saferoom_proto.reasons import Reason
from saferoom_proto.shares import MODULUS, Share
from saferoom_proto.statements import (
    Aggregate,
    Feature,
    MeasureKind,
    Outcome,
    OwnersPeriod,
    Payload,
    Privacy,
    PrivacySpent,
    Purpose,
    TableMeasure,
    TableRelease,
    TableRequest,
    Template,
    seal_statement,
)
from saferoom_proto.tables.receipt import TableReceipt
from saferoom_proto.tables.sum_receipt import SumPart, SumReceipt
from saferoom_proto.tables.summed import SHARES_SEAL, TableShares, in_tables
from saferoom_proto.tables.told import TABLES_SEAL, Tables, commitment
from tests.proto.golden_owners import definitions
from tests.proto.golden_seeds import (
    AT,
    CERTIFICATE,
    LINK,
    ROOM,
    STORE,
    STREAM,
    TITLE,
    digest,
    key,
    sealing,
    seed,
)

_OF_ALL_OWNERS: Final = ("request", "template", "certificate")


def templates() -> dict[str, Payload]:
    """Give templates of tables: margins of so many columns, and margins that are listed."""
    given: dict[str, object] = {
        "room": ROOM,
        "kind": "Aggregate",
        "name": "turnover-by-rating",
        "title": TITLE,
        "proposer": "bank-a",
        "signer": b64(CERTIFICATE),
        "purposes": (Purpose.PRODUCT_DESIGN,),
    }
    added = {"of": "tax.vat", "low": Decimal(0), "high": Decimal("1000000.5")}
    all_kinds = (
        TableMeasure(kind=MeasureKind.COUNT),
        TableMeasure.model_validate({"kind": MeasureKind.SUM, **added}),
        TableMeasure.model_validate({"kind": MeasureKind.MEAN, **added}),
        TableMeasure(kind=MeasureKind.SHARE, of="tax.rating", classes=("good",)),
        TableMeasure(kind=MeasureKind.HISTOGRAM, of="tax.rating"),
    )
    every = Aggregate(dimensions=("tax.vat", "tax.rating"), measures=all_kinds, ways=2)
    listed = Aggregate(
        dimensions=("tax.vat", "tax.rating"),
        measures=all_kinds[:1],
        margins=((), ("tax.rating", "tax.vat")),
    )
    grouped = listed.model_copy(update={"groups": "tax.phone"})
    noisy = every.model_copy(
        update={"privacy": Privacy(epsilon=Decimal("0.5"), cap=Decimal("1.25"))}
    )
    summed = listed.model_copy(update={"privacy": noisy.privacy, "owners": ("tax", "vat", "west")})
    return {
        "template of a sum over owners": Template.model_validate({**given, "aggregate": summed}),
        "template of tables of groups": Template.model_validate({**given, "aggregate": grouped}),
        "template of tables with noise": Template.model_validate({**given, "aggregate": noisy}),
        "template of tables": Template.model_validate({**given, "aggregate": every}),
        "template of listed tables": Template.model_validate({**given, "aggregate": listed}),
    }


def table_certificate(name: str = "template of tables") -> ReleaseCertificate:
    """Derive the release certificate of a template of tables."""
    defined = definitions().values()
    features = pin(seal_statement(each, key("li")) for each in defined if _feature(each))
    template = seal_statement(templates()[name], key("desk"))
    return derive_certificate(template, features)


def _feature(payload: Payload) -> bool:
    return isinstance(payload, Feature)


def words_on_tables() -> dict[str, Payload]:
    """Give what an institution asks, and what an enclave signs about it."""
    asked: dict[str, object] = {
        "room": ROOM,
        "institution": "bank-a",
        "template": digest("template"),
        "certificate": digest("certificate"),
    }
    said: dict[str, object] = {
        **asked,
        "owner": "tax",
        "request": digest("table request"),
        "endorsement": digest("endorsement"),
        "charter": digest("charter 2"),
        "approvals": (digest("approval 1"), digest("approval 2")),
        "agreement": digest("agreement"),
        "stream": STREAM,
        "store": STORE,
        "outcome": Outcome.ANSWERED,
        "reason": None,
        "together": 3,
        "answer": digest("tables"),
        "chain": LINK,
        "time": AT,
    }
    spent = PrivacySpent(charged=Decimal("0.5"), spent=Decimal("0.75"), cap=Decimal("1.25"))
    refused = {
        "approvals": (),
        "store": None,
        "outcome": Outcome.REFUSED,
        "reason": Reason.NOT_APPROVED,
        "together": None,
        "answer": None,
    }
    request: dict[str, object] = {
        **asked,
        "purpose": Purpose.PRODUCT_DESIGN,
        "nonce": b64(seed("nonce", 16)),
        "not_before": AT,
        "not_after": AT + timedelta(minutes=10),
        "reply_key": b64(_reply().public),
    }
    priced = refused | {"reason": Reason.PRICE_ONLY, "privacy": spent}
    periods = tuple(OwnersPeriod(owner=each, epoch=at) for at, each in enumerate(("tax", "vat"), 7))
    return {
        "table-request": TableRequest.model_validate(request),
        "table-request for a price": TableRequest.model_validate(request | {"price": True}),
        "table-request for a sum": TableRequest.model_validate(request | {"periods": periods}),
        "table-release of a price": TableRelease.model_validate(said | priced),
        "table-release": TableRelease.model_validate(said),
        "table-release that refuses": TableRelease.model_validate(said | refused),
        "table-release with noise": TableRelease.model_validate(said | {"privacy": spent}),
        "release-certificate of tables": table_certificate(),
        "release-certificate of noise": table_certificate("template of tables with noise"),
    }


def _reply() -> SealingKey:
    return sealing("reply")


def tables() -> Tables:
    """Make tables: a number, a rounded one, and one that is withheld."""
    return Tables(
        room=ROOM,
        owner="tax",
        request=digest("table request"),
        template=digest("template"),
        epoch=5,
        numbers=(("120", None), ("1.25e+07", "-0.5", "0")),
        salt=b64(seed("salt")),
    )


def table_receipt() -> TableReceipt:
    """Make a receipt file; its envelopes are not, since only the form matters here."""
    return TableReceipt(
        request="request",
        template="template",
        certificate="{}",
        owner="tax",
        charters=("charter",),
        features=("feature",),
        approvals=("approval",),
        agreement="agreement",
        endorsement="endorsement",
        release="release",
        salt=b64(seed("salt")),
        proof="proof",
        tables="{}",
    )


def table_shares() -> TableShares:
    """Make one owner's shares of a sum: of nothing, and the largest there is."""
    return TableShares(
        room=ROOM,
        owner="tax",
        request=digest("table request"),
        template=digest("template"),
        epoch=7,
        shares=in_tables([[Share(0), Share(MODULUS - 1)], [Share(1)]]),
        salt=b64(seed("salt")),
    )


def sum_receipt() -> SumReceipt:
    """Make a receipt file of a sum; its envelopes are not, since only the form matters here."""
    held = table_receipt().model_dump(exclude={"format", *_OF_ALL_OWNERS, "tables"})
    parts = tuple(
        SumPart.model_validate(held | {"owner": owner, "shares": shares})
        for owner, shares in (("tax", "{}"), ("vat", "{}"), ("west", None))
    )
    return SumReceipt(request="request", template="template", certificate="{}", parts=parts)


def tables_formats() -> dict[str, str]:
    """Give every format of tables that is sealed, hashed or kept."""
    told = tables().to_bytes()
    return {
        "tables": told.rstrip().decode(),
        "tables length": str(len(told)),
        "tables commitment": commitment(told),
        "tables seal info": TABLES_SEAL.info(digest("table request"), "tax").decode(),
        "table receipt": table_receipt().to_json().decode(),
        "table shares": table_shares().to_bytes().rstrip().decode(),
        "table shares length": str(len(table_shares().to_bytes())),
        "table shares seal info": SHARES_SEAL.info(digest("table request"), "tax").decode(),
        "sum receipt": sum_receipt().to_json().decode(),
    }
