"""Frozen examples of questions, consents, and what enclaves and the room answer."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from saferoom_proto.encoding import b64
from saferoom_proto.identity import fingerprint
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import (
    Acknowledgement,
    BatchRelease,
    BatchRequest,
    CertificateRevocation,
    ChainLink,
    Charge,
    CheckRequest,
    Consent,
    ConsentRevocation,
    CostEstimate,
    CostRequest,
    Endorsement,
    EvidenceClaims,
    FamilyPrice,
    FeaturePrice,
    Head,
    KeyChange,
    KeyHandover,
    KeyUse,
    Outcome,
    Paper,
    Payload,
    Purpose,
    Recovered,
    Refusal,
    Release,
    RootHandover,
    Snapshot,
    Span,
)
from tests.proto.golden_blind import matching
from tests.proto.golden_seeds import (
    AT,
    BEFORE,
    CERTIFICATE,
    LATER,
    LINK,
    ROOM,
    STORE,
    STREAM,
    SUBJECT,
    digest,
    note,
    public,
    sealing,
    seed,
)


def askers_words() -> dict[str, Payload]:
    """Give what institutions, subjects and identity issuers sign."""
    consent: dict[str, object] = {
        "room": ROOM,
        "valid_from": AT,
        "valid_to": LATER,
        "subject": SUBJECT,
        "certificate": b64(CERTIFICATE),
        "institution": "bank-a",
        "purposes": (Purpose.PRE_LOAN,),
        "features": ("tax.vat", "tax.rating"),
        "uses": None,
        "notice": digest("notice"),
        "nonce": b64(seed("nonce", 16)),
    }
    registered: dict[str, object] = {
        "information_types": ("2.3",),
        "uses": 3,
        "paper": Paper(registrar="registry", scan=digest("scan")),
    }
    return {
        "check-request": CheckRequest(
            room=ROOM,
            institution="bank-a",
            template=digest("template"),
            certificate=digest("certificate"),
            subject=SUBJECT,
            params={"least": "1000", "whole": True},
            purpose=Purpose.PRE_LOAN,
            nonce=b64(seed("nonce", 16)),
            not_before=AT,
            not_after=AT + timedelta(minutes=10),
            reply_key=b64(sealing("reply").public),
        ),
        "check-request that matches blindly": matching(),
        "cost-request": CostRequest(
            room=ROOM,
            institution="bank-a",
            template=digest("template"),
            certificate=digest("certificate"),
            subject=SUBJECT,
            params={"least": "1000", "whole": True},
            purpose=Purpose.PRE_LOAN,
            nonce=b64(seed("nonce", 16)),
            not_before=AT,
            not_after=AT + timedelta(minutes=10),
        ),
        "consent": Consent.model_validate(consent),
        "consent on paper": Consent.model_validate(consent | registered),
        "consent-revocation": ConsentRevocation(
            room=ROOM,
            subject=SUBJECT,
            certificate=b64(CERTIFICATE),
            consent=digest("consent"),
        ),
        "certificate-revocation": CertificateRevocation(
            room=ROOM, issuer="ca", fingerprint=fingerprint(CERTIFICATE), at=AT, why="lost"
        ),
    }


def words_on_batches() -> dict[str, Payload]:
    """Give what an institution asks at once, and what an enclave signs about it."""
    batch: dict[str, object] = {
        "room": ROOM,
        "owner": "tax",
        "request": digest("batch request"),
        "institution": "bank-a",
        "endorsement": digest("endorsement"),
        "charter": digest("charter 2"),
        "template": digest("template"),
        "certificate": digest("certificate"),
        "agreement": digest("agreement"),
        "outcome": Outcome.ANSWERED,
        "reason": None,
        "answered": 99_000,
        "refused": 1_000,
        "root": digest("outcomes"),
        "spans": (
            Span(
                rows=100_000,
                charter=digest("charter 2"),
                agreement=digest("agreement"),
                approvals=(digest("approval 1"), digest("approval 2")),
                store=STORE,
                stream=STREAM,
            ),
        ),
        "stream": STREAM,
        "chain": LINK,
        "time": AT,
    }
    paused: dict[str, object] = {
        "outcome": Outcome.REFUSED,
        "reason": Reason.PAUSED,
        "answered": 0,
        "refused": 0,
        "root": None,
        "spans": (),
    }
    return {
        "batch-request": BatchRequest(
            room=ROOM,
            institution="bank-a",
            template=digest("template"),
            certificate=digest("certificate"),
            params=({"least": "1000", "whole": True}, {"least": "5000", "whole": False}),
            purpose=Purpose.PRE_LOAN,
            rows=100_000,
            root=digest("rows"),
            nonce=b64(seed("batch nonce", 16)),
            not_before=AT,
            not_after=AT + timedelta(hours=24),
            reply_key=b64(sealing("reply").public),
        ),
        "batch-release": BatchRelease.model_validate(batch),
        "batch-release that refuses": BatchRelease.model_validate(batch | paused),
    }


def enclaves_words() -> dict[str, Payload]:
    """Give what an enclave signs about its work."""
    release: dict[str, object] = {
        "room": ROOM,
        "owner": "tax",
        "request": digest("request"),
        "institution": "bank-a",
        "endorsement": digest("endorsement"),
        "charter": digest("charter 2"),
        "template": digest("template"),
        "certificate": digest("certificate"),
        "approvals": (digest("approval 1"), digest("approval 2")),
        "agreement": digest("agreement"),
        "consent": digest("consent"),
        "stream": STREAM,
        "store": STORE,
        "outcome": Outcome.ANSWERED,
        "reason": None,
        "charges": (Charge(feature="tax.vat", cells_before=1, cells_after=3),),
        "answer": digest("answer"),
        "chain": LINK,
        "time": AT,
    }
    refused: dict[str, object] = {
        "approvals": (),
        "consent": None,
        "store": None,
        "outcome": Outcome.REFUSED,
        "reason": Reason.NO_CONSENT,
        "charges": (),
        "answer": None,
    }
    return {
        **words_on_batches(),
        "release": Release.model_validate(release),
        "release that refuses": Release.model_validate(release | refused),
        "acknowledgement": Acknowledgement(
            room=ROOM,
            owner="tax",
            endorsement=digest("endorsement"),
            subject=SUBJECT,
            revocation=digest("revocation"),
            consent=digest("consent"),
            stream=STREAM,
            chain=LINK,
            time=AT,
        ),
        "key-change": KeyChange(
            room=ROOM,
            owner="tax",
            endorsement=digest("endorsement"),
            store_key=digest("store key"),
            previous=digest("store key before"),
            from_epoch=5,
            chain=LINK,
            time=AT,
        ),
        "snapshot": Snapshot(
            room=ROOM,
            owner="tax",
            endorsement=digest("endorsement"),
            schema_digest=digest("schema"),
            store=STORE,
            previous=BEFORE,
            order=digest("order"),
            rows={"vat": 1_000_000, "arrears": 0},
            chain=LINK,
            time=AT,
        ),
    }


def words_after_a_loss() -> dict[str, Payload]:
    """Give what an enclave signs that goes on from an older copy."""
    return {
        "recovered": Recovered(
            room=ROOM,
            owner="tax",
            endorsement=digest("endorsement"),
            recoveries=(digest("recovery of li"), digest("recovery of wang")),
            found=ChainLink(index=3, previous=digest("copy")),
            store=BEFORE,
            stream=STREAM,
            closed_epoch=4,
            chain=LINK,
            time=AT,
        ),
    }


def prices() -> dict[str, Payload]:
    """Give what an enclave signs about what a question would cost."""
    estimate: dict[str, object] = {
        "room": ROOM,
        "owner": "tax",
        "request": digest("request"),
        "institution": "bank-a",
        "endorsement": digest("endorsement"),
        "charter": digest("charter 2"),
        "template": digest("template"),
        "certificate": digest("certificate"),
        "agreement": digest("agreement"),
        "stream": STREAM,
        "store": STORE,
        "refused": Reason.OVER_BUDGET,
        "features": (
            FeaturePrice(
                feature="tax.vat",
                family="turnover",
                cells_before=3,
                cells_after=5,
                budget_bits=Decimal("2.322"),
                within=True,
            ),
        ),
        "families": (
            FamilyPrice(
                family="turnover",
                bits_before=Decimal("1.585"),
                bits_after=Decimal("2.322"),
                cap_bits=Decimal("2.000"),
                within=False,
            ),
        ),
        "chain": LINK,
        "time": AT,
    }
    refused = {"refused": Reason.NO_CONSENT, "store": None, "features": (), "families": ()}
    return {
        "cost-estimate": CostEstimate.model_validate(estimate),
        "cost-estimate that refuses": CostEstimate.model_validate(estimate | refused),
    }


def words_on_enclaves() -> dict[str, Payload]:
    """Give what an enclave claims, and what its key agent and the room sign about it."""
    endorsed: dict[str, object] = {
        "room": ROOM,
        "owner": "tax",
        "identity": public("enclave"),
        "sealing": b64(sealing("enclave").public),
        "tls": digest("tls"),
        "charter": digest("charter 2"),
        "code": digest("code"),
        "dependencies": digest("dependencies"),
        "sandbox_level": 3,
        "chain": LINK,
    }
    return {
        "evidence-claims": EvidenceClaims.model_validate(
            endorsed
            | {
                "nonce": b64(seed("challenge")),
                "python": "3.11.2",
                "sandbox_missing": ("landlock",),
                "store": STORE,
                "stream": STREAM,
            }
        ),
        "endorsement": Endorsement.model_validate(
            endorsed
            | {
                "valid_from": AT,
                "valid_to": LATER,
                "evidence_kind": "tdx",
                "evidence": digest("claims"),
                "quote": digest("quote"),
                "previous": digest("endorsement before"),
            }
        ),
        "head": Head(
            room=ROOM,
            owner="tax",
            sequence=12,
            running=digest("statement 12"),
            checkpoint=note(),
            nonce=b64(seed("head nonce")),
            time=AT,
        ),
        "refusal": Refusal(
            room=ROOM,
            request=digest("request"),
            institution="bank-a",
            owner="tax",
            reason=Reason.UNAVAILABLE,
            time=AT,
        ),
        "key-handover": KeyHandover(
            room=ROOM,
            use=KeyUse.LEDGER,
            former=public("ledger"),
            following=public("ledger of next year"),
            time=AT,
        ),
        "root-handover": RootHandover(
            room=ROOM,
            owner="tax",
            former=public("root"),
            following=public("root of next year"),
            version=3,
            previous=digest("charter"),
            time=AT,
        ),
    }
