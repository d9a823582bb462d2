"""How a value of each type is written, and the one form in which it goes into the store.

A form takes what offices write (`2026年1月31日`, `是`, `35%`, `1,200.50`) where it can mean one
thing only. What can not be read so is bad; nothing is guessed, and nothing is rounded.

Source: GB 32100-2015 (codes of subjects, by `saferoom_proto.uscc`), GB 11643-1999 (numbers of
residents), GB/T 4754-2017 (industries).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from saferoom_client.records.annex import FieldType
from saferoom_proto.reasons import SafeRoomError
from saferoom_proto.statements.feature import ColumnType
from saferoom_proto.uscc import parse_uscc

FIRST_YEAR: Final = 1900

_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)
_GROUPED: Final = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?", re.ASCII)
_DECIMAL: Final = re.compile(r"[+-]?[0-9]{1,14}(\.[0-9]{1,4}0*)?", re.ASCII)
_DOUBLE: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,2})?", re.ASCII)
_ISO: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_DAY: Final = re.compile(
    r"([0-9]{4})(?:([-/.])([0-9]{1,2})\2([0-9]{1,2})|年([0-9]{1,2})月([0-9]{1,2})日"
    r"|([0-9]{2})([0-9]{2}))(?:[T ]00:00(?::00(?:\.0+)?)?)?",
    re.ASCII,
)
_MONTH: Final = re.compile(
    r"([0-9]{4})(?:[-/.]?([0-9]{2})|[-/.]([0-9])|年([0-9]{1,2})月)", re.ASCII
)
_RESIDENT: Final = re.compile(r"[1-9][0-9]{5}([0-9]{4})([0-9]{2})([0-9]{2})[0-9]{3}[0-9X]")
_RESIDENT_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)  # GB 11643
_RESIDENT_CHECKS: Final = "10X98765432"  # by the weighted sum modulo 11
_INDUSTRY: Final = re.compile(r"[A-T]?[0-9]{2,4}|[A-T]", re.ASCII)
_TRUTH: Final = {
    **dict.fromkeys(("true", "1", "是", "y", "yes"), "true"),
    **dict.fromkeys(("false", "0", "否", "n", "no"), "false"),
}
_HIGHEST: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Form:
    """How values of a type are written.

    Attributes:
        clean: gives a value in its one form, or nothing where it is of no form.
        rule: what it should have been.
    """

    clean: Callable[[str], str | None]
    rule: str


def rule_about(form: Form, value: str) -> str:
    """Say what a value should have been: of a subject's code, which of its checks does not fit."""
    if form is FORMS[FieldType.USCC]:
        try:
            parse_uscc(value)
        except SafeRoomError as error:
            return error.fields[0].rule
    return form.rule


def _text(value: str) -> str | None:
    stripped = value.strip()
    if "\0" in stripped or "\ufffd" in stripped:
        return None
    try:
        stripped.encode()
    except UnicodeEncodeError:  # a lone surrogate: bytes that were not UTF-8
        return None
    return stripped


def _number(value: str) -> str:
    """Take the commas out of a number that has them in their places."""
    stripped = value.strip()
    return stripped.replace(",", "") if _GROUPED.fullmatch(stripped) else stripped


def _whole(value: str) -> str | None:
    number = _number(value)
    if _WHOLE.fullmatch(number) is None or not -_HIGHEST - 1 <= int(number) <= _HIGHEST:
        return None
    return number


def _count(value: str) -> str | None:
    number = _whole(value)
    return number if number is not None and int(number) >= 0 else None


def _year(value: str) -> str | None:
    number = _whole(value.strip().removesuffix("年"))
    if number is None or not FIRST_YEAR <= int(number) <= date.today().year + 1:  # noqa: DTZ011
        return None
    return number


def _decimal(value: str) -> str | None:
    number = _number(value)
    return number if _DECIMAL.fullmatch(number) else None


def _double(value: str) -> str | None:
    number = _number(value)
    return number if _DOUBLE.fullmatch(number) else None


def _ratio(value: str) -> str | None:
    stripped = value.strip()
    number = _double(stripped.removesuffix("%"))
    if number is None:
        return None
    ratio = Decimal(number) / (100 if stripped.endswith("%") else 1)
    return format(ratio, "f") if 0 <= ratio <= 1 else None


def _day(value: str) -> str | None:
    stripped = value.strip()
    if _ISO.fullmatch(stripped):
        found = stripped
    else:
        parts = _DAY.fullmatch(stripped)
        if parts is None:
            return None
        month, day = parts[3] or parts[5] or parts[7], parts[4] or parts[6] or parts[8]
        found = f"{parts[1]}-{month:0>2}-{day:0>2}"
    try:
        return found if date.fromisoformat(found).year >= FIRST_YEAR else None
    except ValueError:
        return None


def _month(value: str) -> str | None:
    parts = _MONTH.fullmatch(value.strip())
    if parts is None:
        return None
    month = parts[2] or parts[3] or parts[4]
    return f"{parts[1]}-{month:0>2}" if 1 <= int(month) <= 12 else None  # noqa: PLR2004


def _truth(value: str) -> str | None:
    return _TRUTH.get(value.strip().lower())


def _subject(value: str) -> str | None:
    try:
        return parse_uscc(value)
    except SafeRoomError:
        return None


def _certificate(value: str) -> str | None:
    """Take a resident's number with the check that fits, or the number of another certificate."""
    number = _text(value)
    if number is None:
        return None
    upper = number.upper()
    parts = _RESIDENT.fullmatch(upper)
    if parts is None:
        return number
    total = sum(
        int(digit) * weight for digit, weight in zip(upper[:17], _RESIDENT_WEIGHTS, strict=True)
    )
    fits = upper[17] == _RESIDENT_CHECKS[total % 11] and _day("".join(parts.groups()))
    # A subject's code may have 18 digits too.
    return upper if fits else _subject(upper)


def _industry(value: str) -> str | None:
    code = value.strip().upper()
    return code if _INDUSTRY.fullmatch(code) else None


_AS_TEXT: Final = Form(_text, "text is UTF-8 without NUL characters")
_AS_DECIMAL: Final = Form(_decimal, "a number with at most 14 digits before its point and 4 after")
FORMS: Final[dict[FieldType, Form]] = {
    **dict.fromkeys(
        (
            *(FieldType.STRING, FieldType.TEXT, FieldType.ENUM),
            *(FieldType.TAX_GRADE, FieldType.CUSTOMS_GRADE),
        ),
        _AS_TEXT,
    ),
    FieldType.DATE: Form(_day, "a date as YYYY-MM-DD"),
    FieldType.MONTH: Form(_month, "a month as YYYY-MM"),
    FieldType.YEAR: Form(_year, f"a year from {FIRST_YEAR} to the next"),
    FieldType.INT: Form(_count, "a whole number, not below zero"),
    FieldType.DECIMAL: _AS_DECIMAL,
    FieldType.MONEY: _AS_DECIMAL,
    FieldType.RATIO: Form(_ratio, "a ratio from 0 to 1"),
    FieldType.BOOL: Form(_truth, "true, false, 1 or 0"),
    FieldType.USCC: Form(_subject, "a unified social credit code"),
    FieldType.ID_NO: Form(_certificate, "a resident's number whose check fits, or another's"),
    FieldType.INDUSTRY: Form(_industry, "a class of GB/T 4754: a letter, digits, or both"),
}
"""The forms of the catalogue's types."""
PLAIN: Final[dict[ColumnType, Form]] = {
    ColumnType.TEXT: _AS_TEXT,
    ColumnType.BIGINT: Form(_whole, "a whole number of 64 bits"),
    ColumnType.DOUBLE: Form(_double, "a finite number with a decimal point"),
    ColumnType.DECIMAL: _AS_DECIMAL,
    ColumnType.DATE: FORMS[FieldType.DATE],
    ColumnType.BOOLEAN: FORMS[FieldType.BOOL],
}
"""The forms of columns that the catalogue has not."""
