"""A rule that an enclave or the room names is told in the language of whoever broke it."""

from __future__ import annotations

import pytest

from saferoom_client.cli.output import print_error
from saferoom_client.cli.rules_said import say_rule
from saferoom_client.tongue import Language, speak
from saferoom_proto.certificate import derive_certificate
from saferoom_proto.reasons import SafeRoomError
from saferoom_proto.statements import seal_statement
from tests.proto.golden_fits import fit_template, pinned
from tests.proto.golden_seeds import key


@pytest.mark.parametrize(
    ("rule", "english", "chinese"),
    [
        ("Field required", "missing", "缺少"),
        ("String should have at least 1 character", "it may not be empty", "不能为空"),
        ("Input should be 2, 4, 6 or 8", "it must be 2, 4, 6 or 8", "须为 2, 4, 6 或 8"),
        (
            "own.csv: no column bad in its heading",
            "own.csv: no column bad in its heading",
            "own.csv: 表头中没有列 bad",
        ),
        (
            "own.csv: no column default in its heading",
            "own.csv: no column default in its heading",
            "own.csv: 表头中没有列 default",
        ),
        ("must be at least 1 characters", "it may not be empty", "不能为空"),
        ("Input should be greater than or equal to 1", "it must be 1 or more", "须不小于 1"),
        ("Value error, an address is HOST:PORT", "an address is HOST:PORT", "地址须为 HOST:PORT"),
        (
            "does not match regex pattern `^(sha256:[0-9a-f]{64})?$`",
            "a digest: sha256: and 64 digits or letters a to f",
            "摘要\N{FULLWIDTH COLON}sha256: 加 64 位数字或字母 a 至 f",
        ),
        (
            "String should match pattern '^x$'",
            "it must be written as ^x$",
            "须按 ^x$ 的格式书写",
        ),
        ("b.csv: Permission denied", "b.csv: it is not allowed to you", "b.csv: 您无权操作"),
        ("another process writes a.db", "another process writes a.db", "另一进程正在写入 a.db"),
        (
            "its consent does not stand before it",
            "its consent does not stand before it",
            "其授权在它之前并未出现",
        ),
        (
            "its order does not stand before it",
            "its order does not stand before it",
            "其指令在它之前并未出现",
        ),
        (
            "tax.owed is asked of a source, about one subject at a time: no table counts it",
            "tax.owed is asked of a source, about one subject at a time: no table counts it",
            "tax.owed 系逐个主体向数据接口查询\N{FULLWIDTH COMMA}不能用于统计表",
        ),
        (
            "tax.owed is asked of a source, about one subject at a time: no model reads it",
            "tax.owed is asked of a source, about one subject at a time: no model reads it",
            "tax.owed 系逐个主体向数据接口查询\N{FULLWIDTH COMMA}不能用于模型",
        ),
        ("expected {x}", "expected {x}", "应为 {x}"),  # what looks like a place is none
        (
            "no INNER with x is not allowed",  # the longer of two that fit it
            "no INNER with x is not allowed",
            "不允许使用带 x 的 no INNER",
        ),
    ],
)
def test_rules_of_libraries_and_rules_with_values_are_said_in_our_words(
    rule: str, english: str, chinese: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANGUAGE", "")
    speak(Language.EN)
    assert say_rule(rule) == english
    speak(Language.ZH)
    assert say_rule(rule) == chinese


def test_a_rule_is_translated_behind_what_it_is_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGUAGE", "")
    speak(Language.ZH)
    thresholds = "it is not one of the feature's thresholds"
    assert say_rule(f"tax.vat_paid: {thresholds}") == "tax.vat_paid: 不是该指标的阈值之一"
    assert say_rule("missing") == "缺少"
    assert say_rule("what: nobody has translated") == "what: nobody has translated"
    speak(Language.EN)
    assert say_rule(f"tax.vat_paid: {thresholds}") == f"tax.vat_paid: {thresholds}"


@pytest.mark.parametrize(
    ("language", "what_to_do", "step"),
    [
        (Language.EN, "a label is of kind flag, true or false", "it is no matter of your role"),
        (Language.ZH, "标签须是布尔指标", "与您的角色无关"),
    ],
)
def test_a_label_that_is_no_flag_is_told_what_a_label_is(
    capsys: pytest.CaptureFixture[str], language: Language, what_to_do: str, step: str
) -> None:
    template = fit_template(features=("tax.rating",), label="tax.vat")
    with pytest.raises(SafeRoomError) as refused:
        derive_certificate(seal_statement(template, key("desk")), pinned())
    speak(language)
    print_error(refused.value, as_json=False)
    speak(Language.EN)
    _, place, after = capsys.readouterr().err.splitlines()
    assert "fit.label: tax.vat" in place
    assert what_to_do in place
    assert step in after
