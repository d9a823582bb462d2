"""One example of everything that banks say of a federated training."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from saferoom_proto.encoding import b64
from saferoom_proto.statements import (
    FederationEnd,
    FederationJoin,
    FederationProposal,
    FederationResult,
    Payload,
    SharedColumn,
)
from tests.proto.golden_seeds import AT, CERTIFICATE, ROOM, TITLE, digest, seed


def words_on_federations() -> dict[str, Payload]:
    """Give a proposal, and what is said of it."""
    banks = ("bank-a", "bank-b", "bank-c")
    said: dict[str, object] = {
        "room": ROOM,
        "institution": "bank-b",
        "signer": b64(CERTIFICATE),
        "federation": digest("federation"),
        "at": AT,
    }
    return {
        "federation-proposal": FederationProposal(
            room=ROOM,
            valid_from=AT,
            valid_to=AT + timedelta(days=7),
            institution="bank-a",
            signer=b64(CERTIFICATE),
            name="default-12m",
            title=TITLE,
            event="Default within a year 一年内违约",
            banks=banks,
            columns=(
                SharedColumn(name="income", low=Decimal(0), high=Decimal(1000000)),
                SharedColumn(name="debt", low=Decimal("-1.5"), high=Decimal(20)),
            ),
            inverse_ridge=Decimal("0.1"),
            rounds=12,
            fewest_rows=200,
            wait_seconds=600,
            nonce=b64(seed("nonce", 16)),
        ),
        "federation-join": FederationJoin.model_validate(said | {"key": seed("key").hex()}),
        "federation-end": FederationEnd.model_validate(said | {"why": "other rows 其他数据"}),
        "federation-result": FederationResult.model_validate(
            said
            | {
                "course": seed("course").hex(),
                "banks": banks,
                "rows": 4120,
                "rounds": 6,
                "converged": True,
            }
        ),
    }
