"""Signed payloads: strict opening, exact instants, closed fields."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from saferoom_proto import statements
from saferoom_proto.dsse import Envelope, sign
from saferoom_proto.encoding import b64
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.spoken import SPOKEN, open_spoken
from saferoom_proto.statements import Feature, Pause, Payload, load, seal_statement
from saferoom_proto.statements.base import Nonce, format_instant, fresh_nonce, whole_milliseconds
from tests.proto.kinds import kinds

KEY = SigningKey.from_seed(bytes(32))
AT = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def pause(**changes: object) -> Pause:
    fields: dict[str, object] = {
        "room": "city.example/room",
        "owner": "tax",
        "approver": "li",
        "template": None,
        "paused": True,
        "why": "an incident",
        "at": AT,
    }
    return Pause.model_validate(fields | changes)


def signed(payload: bytes, payload_type: str = Pause.payload_type()) -> Envelope:
    return sign(payload_type, payload, KEY)


def document() -> dict[str, object]:
    return json.loads(pause().to_bytes())


def test_a_statement_reads_back_as_it_was_signed() -> None:
    envelope = seal_statement(pause(), KEY)
    assert load(envelope, Pause) == pause()
    assert envelope.payload == pause().to_bytes()


def refused(envelope: Envelope, kind: type[Payload] = Pause) -> SafeRoomError:
    with pytest.raises(SafeRoomError) as caught:
        load(envelope, kind)
    return caught.value


def test_an_unknown_field_is_refused_by_name() -> None:
    error = refused(signed(json.dumps(document() | {"extra": 1}).encode()))
    assert error.reason is Reason.MALFORMED
    assert [fault.field for fault in error.fields] == ["extra"]


def test_faults_beyond_a_hundred_are_counted_and_not_told() -> None:
    few, many = ({f"x{at}": 1 for at in range(count)} for count in (100, 20_000))
    told = refused(signed(json.dumps(document() | few).encode())).fields
    assert [fault.field for fault in told] == list(few)
    (one,) = refused(signed(json.dumps(document() | many).encode())).fields
    assert one.field == "(whole)"
    assert one.rule.startswith("20000 faults")


def test_a_missing_field_is_refused_by_name() -> None:
    fields = document()
    del fields["why"]
    assert [fault.field for fault in refused(signed(json.dumps(fields).encode())).fields] == ["why"]


def test_a_duplicate_key_is_refused_even_with_the_same_value() -> None:
    doubled = pause().to_bytes()[:-1] + b',"paused":true}'
    assert refused(signed(doubled)).reason is Reason.MALFORMED


def test_a_second_document_is_refused() -> None:
    assert refused(signed(pause().to_bytes() * 2)).reason is Reason.MALFORMED


def test_another_kind_of_statement_is_refused_even_with_fitting_fields() -> None:
    other = signed(pause().to_bytes(), "application/vnd.saferoom.withdrawal.v1+json")
    assert refused(other).reason is Reason.MALFORMED


def test_a_number_where_text_belongs_is_refused() -> None:
    error = refused(signed(json.dumps(document() | {"why": 7}).encode()))
    assert [fault.field for fault in error.fields] == ["why"]


def test_a_fault_names_the_field_and_never_the_value() -> None:
    error = refused(signed(json.dumps(document() | {"owner": "SECRET-VALUE"}).encode()))
    assert "SECRET" not in repr([(fault.field, fault.rule) for fault in error.fields])
    assert "SECRET" not in str(error)


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=8))])))
def test_an_instant_is_written_in_utc_with_milliseconds_and_reads_back(moment: datetime) -> None:
    try:
        cut = whole_milliseconds(moment).astimezone(UTC)
    except OverflowError:
        return  # the first and last hours of the calendar have no form in UTC
    envelope = seal_statement(pause(at=cut), KEY)
    assert json.loads(envelope.payload)["at"] == format_instant(cut)
    assert load(envelope, Pause).at == cut


def test_an_instant_without_a_zone_is_refused() -> None:
    fields = document() | {"at": "2026-11-23T08:00:00.000"}
    error = refused(signed(json.dumps(fields).encode()))
    assert [fault.field for fault in error.fields] == ["at"]


def test_every_kind_has_a_type_of_its_own_and_one_kind_of_signer() -> None:
    kinds = [
        each
        for name in statements.__all__
        if isinstance(each := getattr(statements, name), type)
        and issubclass(each, Payload)
        and each is not Payload
    ]
    assert len(kinds) >= 18
    assert len({kind.payload_type() for kind in kinds}) == len(kinds)
    assert all(kind.SIGNED_BY in statements.Usage for kind in kinds)


def feature(**changes: object) -> Feature:
    fields: dict[str, object] = {
        "room": "city.example/room",
        "owner": "tax",
        "name": "vat_paid_12m",
        "version": 1,
        "title": {"en": "VAT paid in 12 months", "zh": "近十二个月已缴增值税"},
        "unit": "CNY",
        "level": 3,
        "family": "turnover",
        "information_types": ("3.2",),
        "as_of": AT.date(),
        "sql": "SELECT uscc, sum(paid) FROM vat GROUP BY uscc",
        "kind": statements.FeatureKind.ORDERED,
        "grid": (1000, 5000),
        "absent": statements.Absent.UNKNOWN,
        "budget_bits": 2,
    }
    return Feature.model_validate(fields | changes, strict=False)


def test_a_feature_reads_back_with_exact_thresholds() -> None:
    envelope = seal_statement(feature(grid=("0.10", "0.30")), KEY)
    assert [str(cut) for cut in load(envelope, Feature).grid] == ["0.10", "0.30"]


@pytest.mark.parametrize(
    "grid",
    [(), (5, 5), (5, 1), tuple(range(8)), ("NaN",), ("Infinity",), ("1e30",)],
    ids=["empty", "twice", "falling", "too many", "nan", "infinite", "too large"],
)
def test_a_grid_of_another_form_is_refused(grid: tuple[object, ...]) -> None:
    with pytest.raises(ValueError, match=r"grid|threshold|finite|decimal|digits"):
        feature(grid=grid)


def test_classes_must_not_share_a_value() -> None:
    cells = ({"name": "good", "values": ("A", "B")}, {"name": "poor", "values": ("B",)})
    with pytest.raises(ValueError, match="share"):
        feature(kind=statements.FeatureKind.CLASSES, grid=(), classes=cells)


def test_whatever_an_enclave_signs_in_its_chain_is_known_as_its_word() -> None:
    in_chain = {
        kind
        for kind in kinds()
        if kind.SIGNED_BY is statements.Usage.ENCLAVE
        and {"endorsement", "chain"} <= kind.model_fields.keys()
    }
    assert set(SPOKEN.values()) == in_chain
    assert open_spoken(seal_statement(pause(), KEY)) is None


def test_nonces_are_sixteen_bytes_and_all_different() -> None:
    made = {fresh_nonce() for _ in range(1000)}
    assert len(made) == 1000
    assert all(TypeAdapter[str](Nonce).validate_python(each) for each in made)
    with pytest.raises(ValidationError):
        TypeAdapter[str](Nonce).validate_python(b64(bytes(15)))
