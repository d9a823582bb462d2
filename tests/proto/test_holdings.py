"""What is held about a subject: its length says little, and it opens in one place only."""

from __future__ import annotations

import pytest

from saferoom_proto.encoding import sha256_digest
from saferoom_proto.holdings import (
    FEWEST_BYTES,
    HeldTable,
    Holdings,
    open_holdings,
    seal_holdings,
)
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import ConsentRequest, Dispute
from tests.proto.golden_seeds import SUBJECT, digest, sealing
from tests.proto.golden_subjects import holdings, subjects_words


def with_rows(count: int) -> Holdings:
    (table,) = holdings().tables
    rows = tuple((SUBJECT, None) for _ in range(count))
    return holdings().model_copy(update={"tables": (table.model_copy(update={"rows": rows}),)})


@pytest.mark.parametrize("count", [0, 1, 100, 1000, 5000])
def test_the_length_is_a_power_of_two_and_reads_back(count: int) -> None:
    made = with_rows(count)
    plaintext = made.to_bytes()
    assert len(plaintext) >= FEWEST_BYTES
    assert len(plaintext).bit_count() == 1
    assert Holdings.from_bytes(plaintext) == made


def test_more_than_can_be_sent_is_refused() -> None:
    with pytest.raises(SafeRoomError) as error:
        with_rows(400_000).to_bytes()
    assert error.value.reason is Reason.TOO_LARGE


@pytest.mark.parametrize("other", ["request", "owner", "key"])
def test_a_seal_opens_for_its_own_request_owner_and_key_only(other: str) -> None:
    request, owner, key = digest("request"), "tax", sealing("reply")
    sealed = seal_holdings(holdings().to_bytes(), key.public, request, owner)
    assert open_holdings(sealed, key, request, owner) == holdings().to_bytes()
    with pytest.raises(SafeRoomError) as error:
        open_holdings(
            sealed,
            sealing("other") if other == "key" else key,
            digest("other") if other == "request" else request,
            "court" if other == "owner" else owner,
        )
    assert error.value.reason is Reason.BAD_SEAL


@pytest.mark.parametrize("faulty", [{"rows": (("a",),)}, {"withheld": (0,)}])
def test_a_row_has_a_value_for_each_column(faulty: dict[str, object]) -> None:
    (table,) = holdings().tables
    with pytest.raises(ValueError, match="a value for each column"):
        HeldTable.model_validate(dict(table) | faulty)


@pytest.mark.parametrize("faulty", [{"use": None}, {"field": "vat.paid"}, {"words": ""}])
def test_a_dispute_is_about_one_thing_in_words(faulty: dict[str, object]) -> None:
    made = subjects_words()["dispute"]
    with pytest.raises(ValueError, match=r"about a use or|at least 1 character"):
        Dispute.model_validate(dict(made) | faulty)


@pytest.mark.parametrize(
    "faulty",
    [
        {"notice_text": "Sign here."},
        {"notice": sha256_digest(b"Sign here.")},
        {
            "notice_text": "hidden \u202e text",
            "notice": sha256_digest("hidden \u202e text".encode()),
        },
        {"features": ()},
        {"days": 10_000},
    ],
)
def test_a_request_for_consent_shows_the_notice_it_names(faulty: dict[str, object]) -> None:
    made = subjects_words()["consent-request"]
    with pytest.raises(ValueError, match="validation error"):
        ConsentRequest.model_validate(dict(made) | faulty)
