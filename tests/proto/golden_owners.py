"""Frozen examples of what owners and institutions define and what owners sign."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Final

from saferoom_proto.cosignature import Algorithm, CosignerKey
from saferoom_proto.encoding import b64
from saferoom_proto.load_order import LoadOrder
from saferoom_proto.rollback import RollbackOrder
from saferoom_proto.statements import (
    Absent,
    Agreement,
    AgreementEnd,
    Approval,
    Approver,
    ChainLink,
    Charter,
    ClassCell,
    Column,
    ColumnType,
    Feature,
    FeatureKind,
    FeatureTrial,
    IdentityIssuer,
    LevelLimits,
    Parameter,
    Pause,
    Payload,
    Purpose,
    Recovery,
    Returns,
    RoomKeys,
    Schema,
    Source,
    Table,
    Template,
    TemplateRefusal,
    Withdrawal,
)
from saferoom_proto.statements.feature import StatedForm, StatedRule
from saferoom_proto.statements.template import InstitutionKey
from saferoom_proto.statements.witnesses import WitnessPolicy
from tests.proto.golden_seeds import (
    AT,
    BEFORE,
    CERTIFICATE,
    HEADER,
    ISSUER_PEM,
    LATER,
    ROOM,
    TITLE,
    digest,
    key,
    public,
    sealing,
    seed,
)

STATED: Final[dict[str, object]] = {
    "name": "phone",
    "unit": "",
    "level": 4,
    "kind": FeatureKind.STATED,
    "grid": (),
    "stated": StatedRule(form=StatedForm.DIGITS, per_day=3, for_life=20),
}
"""What a feature of stated values has otherwise."""
SOURCE: Final = Source(name="gateway", days=7)


def definitions() -> dict[str, Payload]:
    """Give what owners and institutions define."""
    vat: dict[str, object] = {
        "room": ROOM,
        "owner": "tax",
        "name": "vat",
        "version": 1,
        "title": TITLE,
        "unit": "CNY",
        "level": 3,
        "family": "payments",
        "information_types": ("2.3", "10.1"),
        "as_of": date(2026, 10, 31),
        "sql": "SELECT uscc AS subject, paid AS value FROM vat",
        "kind": FeatureKind.ORDERED,
        "grid": (Decimal("0.5"), Decimal(1000), Decimal("5000.250000")),
        "absent": Absent.UNKNOWN,
        "budget_bits": Decimal("2.5"),
    }
    rated: dict[str, object] = {
        "name": "rating",
        "level": 2,
        "kind": FeatureKind.CLASSES,
        "grid": (),
        "classes": (ClassCell(name="good", values=("A", "B")), ClassCell(name="差", values=("D",))),
        "absent": Absent.FALSE,
        "budget_bits": Decimal(3),
    }
    listed: dict[str, object] = {
        "owner": "court",
        "name": "listed",
        "level": 1,
        "kind": FeatureKind.FLAG,
        "grid": (),
        "absent": Absent.FALSE,
        "budget_bits": Decimal(0),
    }
    column = Column(name="uscc", type=ColumnType.TEXT, level=4, title=TITLE)
    paid = Column(name="paid", type=ColumnType.DECIMAL, level=3, title=TITLE)
    return {
        "feature": Feature.model_validate(vat),
        "feature of classes": Feature.model_validate(vat | rated),
        "feature that is a flag": Feature.model_validate(vat | listed),
        "feature of stated values": Feature.model_validate(vat | STATED),
        "feature of a source": Feature.model_validate(
            vat | {"name": "owed", "source": SOURCE, "prior": "Yearbook 2025, table 3"}
        ),
        "schema with a source": asked_for(column, paid),
        "schema": Schema(
            room=ROOM,
            owner="tax",
            version=3,
            tables=(Table(name="vat", title=TITLE, key="uscc", columns=(column, paid)),),
        ),
        "template": Template(
            room=ROOM,
            kind="Check",
            name="steady-payer",
            title=TITLE,
            proposer="bank-a",
            signer=b64(CERTIFICATE),
            purposes=(Purpose.PRE_LOAN, Purpose.IN_LOAN),
            params={"least": Parameter(feature="tax.vat")},
            check="tax.vat >= :least AND (tax.rating = 'good' OR tax.vat IS NULL)"
            " AND NOT court.listed",
            returns=Returns.PARTS,
        ),
    }


def asked_for(*columns: Column) -> Schema:
    """Make a schema whose table is asked for."""
    table = Table(name="vat", title=TITLE, key="uscc", columns=columns, source=SOURCE)
    return Schema(room=ROOM, owner="tax", version=4, tables=(table,))


def witnesses() -> WitnessPolicy:
    """Make a policy over two witnesses."""
    keys = (
        CosignerKey(f"{name}.example/w", Algorithm.ED25519, key(name).verify_key.raw).text
        for name in ("bank", "auditor")
    )
    return WitnessPolicy(threshold=2, witnesses=tuple(keys), max_age_seconds=60)


def owners_words() -> dict[str, Payload]:
    """Give what an owner's root and its approvers sign."""
    says: dict[str, object] = {"room": ROOM, "owner": "tax", "approver": "li", "at": AT}
    limits = tuple(
        LevelLimits(level=level, feature_bits=Decimal(level), family_bits=Decimal("12.125"))
        for level in (1, 2, 3, 4)
    )
    charter = Charter(
        room=ROOM,
        owner="tax",
        title=TITLE,
        version=2,
        previous=digest("charter 1"),
        suite="international",
        root=public("root"),
        approvers=(
            Approver(name="li", key=public("li")),
            Approver(name="wang", key=public("wang")),
        ),
        threshold=2,
        issuers=(IdentityIssuer(name="ca", certificate=ISSUER_PEM, key=public("ca")),),
        registrars=("registry",),
        key_agent=public("agent"),
        pairing=b64(seed("pairing")),
        room_keys=RoomKeys(ledger=public("ledger"), heads=public("heads")),
        max_head_age_seconds=60,
        min_sandbox_level=2,
        release_tick_milliseconds=5,
        limits=limits,
    )
    return {
        "charter": charter,
        "charter-with-witnesses": Charter.model_validate(
            dict(charter)
            | {"version": 3, "previous": digest("charter 2"), "witnesses": witnesses()}
        ),
        "approval": Approval.model_validate(
            says
            | {
                "charter": digest("charter 2"),
                "template": digest("template"),
                "certificate": digest("certificate"),
            }
        ),
        "withdrawal": Withdrawal.model_validate(
            says | {"template": digest("template"), "why": "no longer wanted"}
        ),
        "pause": Pause.model_validate(
            says | {"template": digest("template"), "paused": True, "why": "an incident"}
        ),
        "agreement": Agreement(
            room=ROOM,
            valid_from=AT,
            valid_to=LATER,
            owner="tax",
            institution="bank-a",
            group="banks",
            keys=(InstitutionKey(name="desk", certificate=b64(CERTIFICATE)),),
            purposes=(Purpose.PRE_LOAN,),
            replaces=digest("agreement before"),
        ),
        "agreement-end": AgreementEnd.model_validate(
            says | {"agreement": digest("agreement"), "why": "moved on"}
        ),
    }


def orders() -> dict[str, Payload]:
    """Give what approvers order of their own enclave."""
    says: dict[str, object] = {"room": ROOM, "owner": "tax", "approver": "li", "at": AT}
    return {
        "template-refusal": TemplateRefusal.model_validate(
            says | {"template": digest("template"), "why": "it asks about more than it needs"}
        ),
        "feature-trial": FeatureTrial.model_validate(
            says | {"draft": definitions()["feature"], "reply_key": b64(sealing("reply").public)}
        ),
        "rollback-order": RollbackOrder.model_validate(
            says
            | {
                "to": digest("snapshot gone back to"),
                "follows": BEFORE.digest,
                "why": "the file was last year's",
            }
        ),
        "recovery": Recovery.model_validate(
            says
            | {
                "found": ChainLink(index=3, previous=digest("copy")),
                "follows": ChainLink(index=9, previous=digest("entry")),
                "last_epoch": 4,
                "why": "the disk died; the copy is of last night",
            }
        ),
        "load-order": LoadOrder.of(
            HEADER,
            seed("content key"),
            room=ROOM,
            approver="li",
            follows=BEFORE.digest,
            reply_key=sealing("reply").public,
            at=AT,
        ),
    }
