"""The release certificate: derived alike by everyone, and never kinder than the formula."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from saferoom_proto.certificate import derive_certificate
from saferoom_proto.dsse import Envelope
from saferoom_proto.formula import FeatureRef
from saferoom_proto.keys import SigningKey
from saferoom_proto.pinned import PinnedFeature, pin
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Feature, Template, seal_statement

ROOM = "city.example/room"
KEY = SigningKey.from_seed(bytes(32))
FEATURES: dict[str, dict[str, object]] = {
    "tax.vat": {"kind": "ordered", "grid": (1, 5, 10), "level": 3, "absent": "unknown"},
    "tax.arrears": {"kind": "flag", "level": 2, "absent": "false"},
    "tax.public": {"kind": "flag", "level": 1, "absent": "false"},
    "tax.secret": {"kind": "flag", "level": 4, "absent": "false"},
    "court.dishonest": {"kind": "flag", "level": 2, "absent": "false"},
}


def feature(full_name: str, **changes: object) -> Envelope:
    owner, name = full_name.split(".")
    fields: dict[str, object] = {
        "room": ROOM,
        "owner": owner,
        "name": name,
        "version": 1,
        "title": {"en": name, "zh": name},
        "unit": "",
        "family": name,
        "information_types": (),
        "as_of": datetime(2026, 11, 1, tzinfo=UTC).date(),
        "sql": "SELECT uscc, v FROM t",
        "budget_bits": 3,
    }
    return seal_statement(
        Feature.model_validate(fields | FEATURES[full_name] | changes, strict=False), KEY
    )


def features(**changes: object) -> dict[FeatureRef, PinnedFeature]:
    return pin(feature(name, **changes) for name in FEATURES)


def template(check: str, params: dict[str, str] | None = None, returns: str = "parts") -> Envelope:
    fields: dict[str, object] = {
        "room": ROOM,
        "kind": "Check",
        "name": "a-check",
        "title": {"en": "a check", "zh": "一项核验"},
        "proposer": "bank-a",
        "signer": "",
        "purposes": ("pre-loan",),
        "params": {name: {"feature": ref} for name, ref in (params or {}).items()},
        "check": check,
        "returns": returns,
    }
    return seal_statement(Template.model_validate(fields, strict=False), KEY)


def refused(check: str, params: dict[str, str] | None = None, returns: str = "parts") -> Reason:
    with pytest.raises(SafeRoomError) as caught:
        derive_certificate(template(check, params, returns), features())
    return caught.value.reason


def test_equal_inputs_give_equal_bytes() -> None:
    check = "tax.vat >= 5 AND court.dishonest IS FALSE"
    first = derive_certificate(template(check), features())
    second = derive_certificate(template(check), features())
    assert first.digest == second.digest
    assert first.to_bytes() == second.to_bytes()


def test_a_feature_defined_anew_changes_the_certificate() -> None:
    envelope = template("tax.vat >= 5")
    before = derive_certificate(envelope, features())
    after = derive_certificate(envelope, features(version=2))
    assert before.digest != after.digest


def test_every_owner_has_a_part_of_its_own_in_order_of_names() -> None:
    certificate = derive_certificate(
        template("tax.vat >= 5 AND court.dishonest IS FALSE AND tax.arrears IS FALSE"), features()
    )
    assert [part.owner for part in certificate.parts] == ["court", "tax"]
    assert [use.feature for use in certificate.part("tax").features] == ["tax.arrears", "tax.vat"]


def test_a_free_parameter_is_priced_as_a_cut_beside_the_literals() -> None:
    fixed = derive_certificate(template("tax.vat >= 5"), features()).part("tax")
    free = derive_certificate(
        template("tax.vat >= 5 AND tax.vat < :high", {"high": "tax.vat"}), features()
    ).part("tax")
    assert fixed.features[0].most_cells == 3
    assert free.features[0].most_cells > fixed.features[0].most_cells


def test_an_answer_tells_at_most_what_its_three_words_hold() -> None:
    part = derive_certificate(template("tax.vat >= 5"), features()).part("tax")
    assert part.answers == 3
    assert part.most_bits == pytest.approx(1.585, abs=0.001)


def test_public_features_need_no_consent_and_cost_nothing() -> None:
    part = derive_certificate(template("tax.public IS TRUE"), features()).part("tax")
    assert not part.needs_consent
    assert part.most_bits == 0
    assert [use.charged for use in part.features] == [False]


def test_one_feature_of_level_two_makes_consent_needed() -> None:
    part = derive_certificate(
        template("tax.public IS TRUE AND tax.arrears IS FALSE"), features()
    ).part("tax")
    assert part.needs_consent


def test_a_level_four_feature_is_refused_in_a_formula() -> None:
    assert refused("tax.secret IS TRUE") is Reason.NOT_ALLOWED


def test_an_unknown_feature_is_refused() -> None:
    assert refused("tax.nothing IS TRUE") is Reason.UNKNOWN_FEATURE


def test_a_literal_off_the_grid_is_refused_before_anybody_asks() -> None:
    assert refused("tax.vat >= 6") is Reason.OFF_GRID


def test_a_parameter_that_is_declared_and_not_used_is_refused() -> None:
    assert refused("tax.vat >= 5", {"spare": "tax.vat"}) is Reason.OFF_DOMAIN


def test_a_parameter_declared_for_another_feature_is_refused() -> None:
    assert refused("tax.vat >= :low", {"low": "tax.arrears"}) is Reason.OFF_DOMAIN


def test_owners_mixed_under_or_are_refused() -> None:
    assert refused("tax.vat >= 5 OR court.dishonest IS FALSE") is Reason.MALFORMED_FORMULA


def test_the_private_conjunction_is_refused_until_it_exists() -> None:
    assert refused("tax.vat >= 5", returns="conjunction") is Reason.MALFORMED
