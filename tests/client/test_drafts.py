"""What people write: drafts read back as written, and a fault names file, line, field and rule."""

from __future__ import annotations

import string
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saferoom_client.drafts import (
    read_charter,
    read_consent,
    read_feature,
    read_schema,
    read_template,
    write_draft,
)
from saferoom_client.issuer import Issuer, enrol_member
from saferoom_client.profile import Member, Profile
from saferoom_client.session import utc_now
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    Absent,
    Charter,
    Feature,
    FeatureKind,
    Schema,
    Title,
    load,
)
from saferoom_proto.suite import Suite
from saferoom_proto.uscc import make_uscc
from tests.client.made import Case, feature, make_case
from tests.client.test_profile import card

TEMPLATE = """\
kind: Check
name: steady-taxpayer
title: {en: Steady taxpayer, zh: 连续正常纳税}
purposes: [pre-loan]
params: {min_vat: {feature: tax.vat_paid_12m}}     # its domain is that feature's grid
check: tax.vat_paid_12m >= :min_vat AND tax.arrears IS FALSE AND court.dishonest IS FALSE
"""
FEATURE = """\
name: vat_paid_12m
version: 1
title: {en: VAT paid in 12 months, zh: 近十二个月增值税}
unit: CNY
level: 3
family: turnover
information_types: ["3.4"]
as_of: 2026-06-30
sql: |
  SELECT uscc, sum(paid) AS value
  FROM vat GROUP BY uscc
kind: ordered
grid: [0.1, 1000, 5000.5]
absent: false
budget_bits: 2.5
"""
SCHEMA = """\
version: 1
tables:
  - name: vat
    title: {en: VAT, zh: 增值税}
    key: uscc
    columns:
      - {name: uscc, type: TEXT, level: 4, title: {en: Code, zh: 代码}}
      - {name: paid, type: "DECIMAL(18,4)", level: 3, title: {en: Paid, zh: 已缴}}
"""
CONSENT = """\
institution: bank-a
purposes: [pre-loan, in-loan]
features: [tax.vat_paid_12m]
notice: sha256:{digest}
valid_from: 2026-01-01
valid_to: 2026-07-01T12:00:00Z
"""


@pytest.fixture(scope="module")
def tax(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Profile:
    folder = tmp_path_factory.mktemp("tax") / "li"
    member = Member(organisation="tax", name="li")
    return enrol_member(issuer, folder, card(), member, utc_now())


@pytest.fixture(scope="module")
def case() -> Case:
    return make_case()


def written(folder: Path, text: str) -> Path:
    path = folder / "draft.yaml"
    path.write_text(text, "utf-8")
    return path


def refusal(path: Path, profile: Profile, reader: object = read_template) -> SafeRoomError:
    assert callable(reader)
    with pytest.raises(SafeRoomError) as refused:
        reader(path, profile)
    return refused.value


def test_the_designs_own_template_reads(tmp_path: Path, tax: Profile) -> None:
    template = read_template(written(tmp_path, TEMPLATE), tax)
    assert (template.room, template.proposer) == ("room.example", "tax")
    assert template.title.zh == "连续正常纳税"
    assert template.params["min_vat"].feature == "tax.vat_paid_12m"


def test_a_feature_reads_with_exact_numbers(tmp_path: Path, tax: Profile) -> None:
    read = read_feature(written(tmp_path, FEATURE), tax)
    assert read.grid == (Decimal("0.1"), Decimal(1000), Decimal("5000.5"))
    assert (read.as_of, read.absent) == (date(2026, 6, 30), Absent.FALSE)
    assert read.full_name == "tax.vat_paid_12m"


def test_a_schema_reads(tmp_path: Path, tax: Profile) -> None:
    schema = read_schema(written(tmp_path, SCHEMA), tax)
    assert [column.name for column in schema.tables[0].columns] == ["uscc", "paid"]


def test_a_consent_gets_what_its_giver_knows(tmp_path: Path, issuer: Issuer, tax: Profile) -> None:
    text = CONSENT.format(digest="0" * 64)
    member = Member(organisation=make_uscc(1), name="self")
    subject = enrol_member(issuer, tmp_path / "subject", tax.card, member, utc_now())
    path = written(tmp_path, text)
    one, two = read_consent(path, subject), read_consent(path, subject)
    assert one.subject == make_uscc(1)
    assert one.uses is None
    assert (one.valid_from.isoformat(), one.valid_to.hour) == ("2026-01-01T00:00:00+00:00", 12)
    assert one.nonce != two.nonce
    assert "subject" in refusal(path, tax, read_consent).fields[0].field


def test_a_charter_reads_back_as_it_was_written(tmp_path: Path, case: Case) -> None:
    charter = load(case.world.owner("tax").charters[0], Charter)
    path = written(tmp_path, write_draft(charter))
    assert read_charter(path, case.world.room, Suite.INTERNATIONAL) == charter
    assert "BEGIN CERTIFICATE" in path.read_text()


TEXT = st.text(
    st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=40
)
NUMBERS = st.lists(
    st.decimals(-(10**6), 10**6, allow_nan=False, places=3), min_size=1, max_size=7, unique=True
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    titles=st.tuples(TEXT, TEXT),
    sql=st.text(string.printable, min_size=1, max_size=80),
    grid=NUMBERS,
)
def test_any_feature_reads_back_as_it_was_written(
    tmp_path: Path, tax: Profile, titles: tuple[str, str], sql: str, grid: list[Decimal]
) -> None:
    made = feature(
        "tax",
        "any",
        FeatureKind.ORDERED,
        room="room.example",
        title=Title(en=titles[0], zh=titles[1]),
        sql="".join(char for char in sql if char not in "\r\x0b\x0c") or "x",
        grid=tuple(sorted(grid)),
    )
    again = read_feature(written(tmp_path, write_draft(made)), tax)
    assert again == made
    assert isinstance(again, Feature)
    assert not isinstance(again, Schema)


def test_an_unknown_key_is_named_with_its_line(tmp_path: Path, tax: Profile) -> None:
    path = written(tmp_path, TEMPLATE + "colour: red\n")
    refused = refusal(path, tax)
    assert refused.reason is Reason.MALFORMED
    assert [(one.field, one.rule) for one in refused.fields] == [
        (f"{path}:7: colour", "unknown key")
    ]


def test_an_inner_fault_is_named_with_its_own_line(tmp_path: Path, tax: Profile) -> None:
    path = written(tmp_path, SCHEMA.replace("level: 3", "level: 9"))
    (fault,) = refusal(path, tax, read_schema).fields
    assert fault.field == f"{path}:8: tables.0.columns.1.level"


def test_every_missing_key_is_named(tmp_path: Path, tax: Profile) -> None:
    path = written(tmp_path, "kind: Check\nname: x\n")
    refused = refusal(path, tax)
    assert {(one.field.split(": ")[1], one.rule) for one in refused.fields} == {
        ("title", "missing"),
        ("purposes", "missing"),
        ("check", "missing"),
    }


def test_a_key_that_stands_twice_is_named_with_its_place(tmp_path: Path, tax: Profile) -> None:
    path = written(tmp_path, TEMPLATE + "name: other\n")
    (fault,) = refusal(path, tax).fields
    assert fault.field == f"{path}: line 7 column 1"
    assert fault.rule == "the key stands twice"


def test_a_second_document_is_refused(tmp_path: Path, tax: Profile) -> None:
    path = written(tmp_path, TEMPLATE + "---\n" + TEMPLATE)
    refused = refusal(path, tax)
    assert refused.reason is Reason.MALFORMED
    assert "line 7" in refused.fields[0].field


@pytest.mark.parametrize(
    "text",
    [
        "a: &x 1\nb: *x\n",
        "a: !!python/name:os.system x\n",
        "- a list\n",
        "a: [1\n",
        "just a word\n",
        "",
        "a: \x07\n",
    ],
)
def test_what_is_no_plain_mapping_is_refused(tmp_path: Path, tax: Profile, text: str) -> None:
    refused = refusal(written(tmp_path, text), tax)
    assert refused.reason is Reason.MALFORMED
    assert str(tmp_path) in (refused.detail + refused.fields[0].field)


def test_a_file_that_is_not_there_or_not_utf8_is_named(tmp_path: Path, tax: Profile) -> None:
    refused = refusal(tmp_path / "none.yaml", tax)
    assert refused.reason is Reason.BAD_CONFIG
    assert refused.fields[0].field.endswith("none.yaml")
    path = tmp_path / "latin.yaml"
    path.write_bytes("title: caf\xe9".encode("latin-1"))
    assert refusal(path, tax).fields[0].rule == "not UTF-8"


def test_a_formula_with_something_forbidden_is_named_with_its_place(
    tmp_path: Path, tax: Profile
) -> None:
    path = written(tmp_path, TEMPLATE.replace("IS FALSE AND court", "+ 1 IS FALSE AND court"))
    refused = refusal(path, tax)
    assert refused.reason is Reason.MALFORMED_FORMULA
    assert refused.fields[0].field == f"{path}:6: check"
    assert refused.fields[0].rule.startswith("line 1 column ")


def test_a_parameter_that_is_declared_but_not_used_is_named(tmp_path: Path, tax: Profile) -> None:
    path = written(tmp_path, TEMPLATE.replace(":min_vat AND", "5000 AND"))
    refused = refusal(path, tax)
    assert refused.reason is Reason.OFF_DOMAIN
    assert refused.fields[0].field == f"{path}:5: params.min_vat"


def test_a_draft_of_another_room_is_refused(tmp_path: Path, tax: Profile) -> None:
    path = written(tmp_path, TEMPLATE + "room: other.example\n")
    refused = refusal(path, tax)
    assert refused.fields[0].field == f"{path}:7: room"
    assert "room.example" in refused.fields[0].rule


def test_the_draft_of_stated_values_in_the_page_is_one(tax: Profile, tmp_path: Path) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "disclosure.md").read_text("utf-8")
    _, _, rest = page.partition("File `phone.yaml`:\n\n```yaml\n")
    read = read_feature(written(tmp_path, rest.partition("```")[0]), tax)
    assert (read.kind, read.level) == (FeatureKind.STATED, 4)
    assert read_feature(written(tmp_path, write_draft(read)), tax) == read


BARE = """\
name: vat
version: 1
title: {en: VAT, zh: 增值税}
unit: CNY
level: 3
family: turnover
information_types: []
as_of: 2026-06-30
sql: SELECT uscc AS subject, paid AS value FROM vat
"""
STATED = """\
kind: stated
level: 4
absent: unknown
stated: {form: code, per_day: 3, for_life: 9}
"""
ORDERED = "kind: ordered\ngrid: [1, 2, 3, 4, 5, 6, 7]\n"


@pytest.mark.parametrize(
    ("shape", "questions", "bits"),
    [
        (ORDERED + "absent: unknown\n", "all", "3.17"),
        (ORDERED + "absent: false\n", "all", "3"),
        (ORDERED + "absent: unknown\n", "2", "2.322"),
        ("kind: flag\nabsent: false\n", "1", "1"),
        ("kind: flag\nabsent: unknown\n", "all", "1.585"),
        (
            STATED,
            "6",
            "3",
        ),
    ],
)
def test_a_budget_is_said_in_questions(
    tax: Profile, tmp_path: Path, shape: str, questions: str, bits: str
) -> None:
    text = f"{BARE}{shape}questions: {questions}\n"
    if "level" in shape:
        text = text.replace("level: 3\n", "")
    assert read_feature(written(tmp_path, text), tax).budget_bits == Decimal(bits)


@pytest.mark.parametrize("questions", ["8", "0", "-1", "every", "[1]", "1.5", "999999999"])
def test_questions_that_a_feature_does_not_have_are_refused(
    tax: Profile, tmp_path: Path, questions: str
) -> None:
    text = f"{BARE}{ORDERED}absent: unknown\nquestions: {questions}\n"
    with pytest.raises(SafeRoomError) as refused:
        read_feature(written(tmp_path, text), tax)
    (fault,) = refused.value.fields
    assert fault.field.endswith(": questions")
    assert fault.rule == "1 to 7, or all"


def test_bits_and_questions_are_not_both_said(tax: Profile, tmp_path: Path) -> None:
    text = f"{BARE}{ORDERED}absent: unknown\nquestions: 2\nbudget_bits: 2\n"
    with pytest.raises(SafeRoomError) as refused:
        read_feature(written(tmp_path, text), tax)
    assert [each.rule for each in refused.value.fields] == ["unknown key"]


TABLES = """kind: Aggregate
name: late-by-size
title: {en: Late by size, zh: 按规模的逾期}
purposes: [product-design]
aggregate:
  dimensions: [tax.size, tax.late]
  measures:
    - {kind: count}
    - {kind: mean, of: tax.vat, low: 0, high: 1000000}
  ways: 2
"""


def test_a_draft_of_tables_reads_and_is_written_back_as_it_was(
    tmp_path: Path, tax: Profile
) -> None:
    template = read_template(written(tmp_path, TABLES), tax)
    assert template.aggregate is not None
    assert template.aggregate.rules.threshold == 10
    assert read_template(written(tmp_path, write_draft(template)), tax) == template


@pytest.mark.parametrize(
    ("spoilt", "line", "field"),
    [
        (TABLES.replace("  ways: 2\n", "  ways: 4\n"), 10, "aggregate.ways"),
        (TABLES.replace("low: 0", "low: 5"), 9, "aggregate.measures.1"),
        (TABLES.replace("kind: count", "kind: median"), 8, "aggregate.measures.0.kind"),
        (TABLES.partition("aggregate:")[0], 1, "aggregate"),
    ],
)
def test_what_is_wrong_with_a_plan_is_named_with_its_line(
    tmp_path: Path, tax: Profile, spoilt: str, line: int, field: str
) -> None:
    path = written(tmp_path, spoilt)
    (fault,) = refusal(path, tax).fields
    assert fault.field == f"{path}:{line}: {field}"
