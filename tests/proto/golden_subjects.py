"""Frozen examples of what subjects ask, dispute, are asked and are shown."""

from __future__ import annotations

from datetime import timedelta

from saferoom_proto.encoding import b64, sha256_digest
from saferoom_proto.holdings import (
    HeldAccount,
    HeldColumn,
    HeldFeature,
    HeldTable,
    Holdings,
    commitment,
    holdings_info,
)
from saferoom_proto.statements import (
    ColumnType,
    ConsentRequest,
    Disclosure,
    Dispute,
    DisputeAnswer,
    DisputeWithdrawal,
    Finding,
    HoldingsRequest,
    Payload,
    Purpose,
)
from tests.proto.golden_seeds import (
    AT,
    CERTIFICATE,
    LATER,
    LINK,
    ROOM,
    STORE,
    STREAM,
    SUBJECT,
    TITLE,
    digest,
    sealing,
    seed,
)

NOTICE = "What a yes or no may tell.\n回答可能透露的内容。\n"


def subjects_words() -> dict[str, Payload]:
    """Give what subjects sign, what a bank asks one of them, and what an enclave shows it."""
    asked: dict[str, object] = {
        "room": ROOM,
        "valid_from": AT,
        "valid_to": LATER,
        "institution": "bank-a",
        "signer": b64(CERTIFICATE),
        "subject": SUBJECT,
        "purposes": (Purpose.PRE_LOAN,),
        "features": ("tax.vat",),
        "uses": 3,
        "days": 30,
        "why": "Your loan application 贷款申请",
        "notice": sha256_digest(NOTICE.encode()),
        "notice_text": NOTICE,
        "nonce": b64(seed("nonce", 16)),
    }
    return {
        "consent-request": ConsentRequest.model_validate(asked),
        "holdings-request": HoldingsRequest(
            room=ROOM,
            owner="tax",
            subject=SUBJECT,
            certificate=b64(CERTIFICATE),
            nonce=b64(seed("nonce", 16)),
            not_before=AT,
            not_after=AT + timedelta(minutes=10),
            reply_key=b64(sealing("reply").public),
        ),
        "disclosure": Disclosure(
            room=ROOM,
            owner="tax",
            request=digest("request"),
            subject=SUBJECT,
            endorsement=digest("endorsement"),
            charter=digest("charter 2"),
            stream=STREAM,
            store=STORE,
            schema_digest=digest("schema"),
            answer=digest("holdings"),
            chain=LINK,
            time=AT,
        ),
        **_of_disputes(),
    }


def _of_disputes() -> dict[str, Payload]:
    """Give what a subject says is wrong, and what ends it."""
    dispute: dict[str, object] = {
        "room": ROOM,
        "owner": "tax",
        "subject": SUBJECT,
        "certificate": b64(CERTIFICATE),
        "use": digest("release"),
        "field": None,
        "words": "We never applied there. 我方从未申请。",
        "nonce": b64(seed("nonce", 16)),
        "at": AT,
    }
    answer: dict[str, object] = {
        "room": ROOM,
        "owner": "tax",
        "approver": "li",
        "charter": digest("charter 2"),
        "subject": SUBJECT,
        "dispute": digest("dispute"),
        "finding": Finding.PASSED_ON,
        "epoch": None,
        "words": "The court keeps this. 此项由法院负责。",
        "at": AT,
    }
    return {
        "dispute": Dispute.model_validate(dispute),
        "dispute about a field": Dispute.model_validate(
            dispute | {"use": None, "field": "vat.paid"}
        ),
        "dispute about a row": Dispute.model_validate(dispute | {"row": 0}),
        "dispute-answer": DisputeAnswer.model_validate(answer),
        "dispute-answer of a correction": DisputeAnswer.model_validate(
            answer | {"finding": Finding.CORRECTED, "epoch": 3}
        ),
        "dispute-withdrawal": DisputeWithdrawal(
            room=ROOM,
            owner="tax",
            subject=SUBJECT,
            certificate=b64(CERTIFICATE),
            dispute=digest("dispute"),
            at=AT,
        ),
    }


def holdings() -> Holdings:
    """Give what is shown to a subject."""
    columns = (
        HeldColumn(name="uscc", title=TITLE, type=ColumnType.TEXT, level=4, withheld=False),
        HeldColumn(name="buyer", title=TITLE, type=ColumnType.TEXT, level=4, withheld=True),
    )
    account = HeldAccount(
        group="bank-a",
        institutions=("bank-a",),
        feature="tax.vat",
        epoch=2,
        cuts=("1000", "5000"),
        cells=3,
    )
    return Holdings(
        room=ROOM,
        owner="tax",
        subject=SUBJECT,
        request=digest("request"),
        store=STORE,
        schema_digest=digest("schema"),
        tables=(
            HeldTable(
                name="vat", title=TITLE, columns=columns, rows=((SUBJECT, None),), withheld=(0, 1)
            ),
        ),
        features=(HeldFeature(feature="tax.vat", digest=digest("feature"), value="1200"),),
        accounts=(account,),
        salt=b64(seed("salt")),
    )


def subjects_formats() -> dict[str, str]:
    """Give how what is held is written, filled up, committed to and sealed."""
    plaintext = holdings().to_bytes()
    return {
        "holdings": plaintext.decode().rstrip(),
        "holdings length": str(len(plaintext)),
        "holdings commitment": commitment(plaintext),
        "holdings seal info": holdings_info(digest("request"), "tax").decode(),
    }
