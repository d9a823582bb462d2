"""A flag to be foretold, and trainings that a bank of the live room proposes and owners approve."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from saferoom_proto.encoding import b64
from saferoom_proto.statements import (
    Absent,
    Feature,
    FeatureKind,
    Fit,
    Purpose,
    Template,
    Training,
)
from tests.flow.live import LiveRoom
from tests.flow.offers import COURT, VAT, feature, title

LATE: Final = "tax.late"
OF_TWO: Final = {
    "algorithm": "logistic-1",
    "features": [COURT, VAT],
    "label": LATE,
    "inverse_ridge": {"least": "0.01", "most": "1"},
    "least_rows": 1000,
    "least_events": 60,
    "releases": ["rows", "auc", "ks", "weights", "bands"],
    "runs": {"most": 20, "days": 30},
    "bands": {"epsilon": "1", "cap": "20"},
}
"""A training in the room over both owners' columns, hosted by the tax office."""


def late(of_paid: str) -> Feature:
    """Define who was late by what a firm paid, a condition of SQL on `paid`."""
    return feature(
        {
            "owner": "tax",
            "name": "late",
            "title": title("Was late"),
            "level": 3,
            "family": "turnover",
            "sql": f"SELECT uscc AS subject, {of_paid} AS value FROM vat",
            "kind": FeatureKind.FLAG,
            "absent": Absent.FALSE,
            "budget_bits": Decimal(1),
        }
    )


def fit_of(fields: Mapping[str, object]) -> Fit:
    """Read a training in the room as it stands in a template."""
    return Fit.model_validate(fields, strict=False)


def have_approved(live: LiveRoom, name: str, asked: Fit | Training) -> None:
    """Have the bank propose a training, and every owner approve it."""
    fit, training = (asked, None) if isinstance(asked, Fit) else (None, asked)
    with live.open("bank-a", "desk") as bank:
        template = Template(
            room=bank.profile.card.origin,
            kind="Training" if fit is None else "Fit",
            name=name,
            title=title(name),
            proposer="bank-a",
            signer=b64(bank.profile.signing_certificate),
            purposes=(Purpose.PRODUCT_DESIGN,),
            fit=fit,
            training=training,
        )
        digest = bank.propose_template(template).recorded.statement.digest
    live.approve(digest)
