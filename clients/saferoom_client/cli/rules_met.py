"""The rules that people break most, listed for translation: they come over the wire in English.

What a rule is about may stand before it, as in `tax.vat_paid: it is not one of the feature's
thresholds`; what is about names and numbers stays as it is.
"""

from __future__ import annotations

import re
from typing import Final

from saferoom_client.cli.faults_met import FAULTS_WITH_VALUES
from saferoom_client.cli.foreign_rules import in_our_words, without_prefix
from saferoom_client.tongue import later, say

RULES: Final = (
    later("missing"),
    later("not a parameter"),
    later("it is not a number in plain digits"),
    later("it is not one of the feature's thresholds"),
    later("it is not one of the feature's classes"),
    later("true or false is expected"),
    later("text is expected: a number's digits or a class's name"),
    later("the organisation code's check character (the 17th) does not fit"),
    later("the check character (the 18th) does not fit"),
    later("each threshold is above the one before"),
    later("a class is named twice"),
    later("is another room's"),
    later("is not enrolled as an institution"),
    later("its subject took it back"),
    later("its owner settled it"),
    later("only a subject disputes, and only for itself"),
    later("not the receipt of a use"),
    later("subjects are not enrolled"),
    later("it must be there"),
    later("this day's readings are used up: ask again tomorrow"),
    later("this day's trials are used up: try again tomorrow, or have another approver try"),
    later("one is under way: wait for its end"),
    later("as many as may be are under way: wait for the end of one"),
    later("is more than a day ago: have the request signed anew"),
    later("it fails on the records"),
    later("a subject has more than one row: aggregate by the subject"),
    later("18 characters, 0-9 and A-Y without I, O, S and V; six digits from the 3rd"),
    later("not a sha256 digest"),
    later("not UTF-8"),
    later("unknown key"),
    later("the document is not a mapping"),
    later("it is there already and is not written over"),
    later("its text is neither UTF-8 nor GB18030"),
    later("a column's name stands twice in its heading"),
    later("it changed while it was being sent"),
    later("it can not be read"),
    later("it can not be written"),
    later("it is empty"),
    later("not a plain file"),
    later("not a PEM certificate"),
    later("not a certificate for statements: it holds no Ed25519 key"),
    later("it is not the key of signing.pem"),
    later("it names somebody else than identity.json"),
    later("it is about another room than room.json"),
    later("not an age public key (age1...)"),
    later("not one age key (AGE-SECRET-KEY-1...)"),
    later("an address is HOST:PORT"),
    later("no identity issuer is admitted: saferoom room admit"),
    later("does not say what the room's keys and room.toml say"),
    later("the room has never run: there is nothing to keep"),
    later("the room has never run: there is no log"),
    later("an owner's handle has no hyphen: formulas name it"),
    later("not an Ed25519 public key in base64"),
    later("only a subject is shown what is held about it"),
    later("no row of it is about this subject"),
    later("the certificate is not the template's"),
    later("a certificate is valid for at least a day"),
    later("every entry may stand once"),
    later("an answer is missing, or one too many"),
    later("no witnesses are pinned in your folder"),
    later("there is no former store key"),
    later("the enclave has not gone over to the new store key; it does when it is next asked"),
    later("another relay attends"),
    later("the room ended the call"),
    later("for the enclave to be started by the room's order"),
    later("threshold is above the number of witnesses"),
    later("one witness's key stands twice, be it under two names"),
    later("--tdx-policy and --tdx-collateral go together"),
    later("it is software's, and hardware's is asked for"),
    later("version 1 has no previous charter, and every later version has one"),
    later("the room shows what entries are to auditors only"),
    later("the heading must name every column once, and nothing else"),
    later("fields are quoted as in RFC 4180 and have at most 131072 characters"),
    later("a row has as many fields as the heading"),
    later("text is UTF-8 without NUL characters"),
    later("a unified social credit code"),
    later("a whole number of 64 bits"),
    later("a finite number with a decimal point"),
    later("a number with at most 14 digits before its point and 4 after"),
    later("a date as YYYY-MM-DD"),
    later("true, false, 1 or 0"),
    later("Restore a newer copy; this one is not served (docs/operators.md)."),
    later("Give the key that it was sealed to, and the backup as it was made."),
    later("every row names its subject"),
    later("none of the column's codes"),
    later("no code of the list in force on that day"),
    later("an earlier row says the same of the same"),
    later("Excel rounds numbers of more than 15 digits: make the column text"),
    later("a month as YYYY-MM"),
    later("a whole number, not below zero"),
    later("a year from 1900 to the next"),
    later("a ratio from 0 to 1"),
    later("a resident's number whose check fits, or another's"),
    later("a class of GB/T 4754: a letter, digits, or both"),
    later("an old or protected workbook: save it as .xlsx without a password"),
    later("its text is UTF-16: save it as CSV UTF-8, or as .xlsx"),
    later("its fields are separated by commas in CSV, not by tabs or semicolons"),
    later("it is no Excel workbook"),
    later("it is no whole Parquet or Arrow file"),
    later("it is no report on the quality of records"),
    later("a load brings every table of the schema"),
    later("not your newest tables"),
    later("it is no folder; for Excel, name a file .xlsx"),
)
"""A test finds each in the code that gives it."""

WITH_VALUES: Final = (
    later("{rule} (GB 32100-2015)"),
    later("not a receipt: {detail}"),
    later("{path}: not an issuer's certificate"),
    later("{path}: it may not issue certificates"),
    later("the log has {size} entries"),
    later("a page ends in {suffix}"),
    later("the same row stands in line {line}"),
    later("another owner's draft: you are of {organisation}"),
    later("this folder is a member of {room}"),
    later("it is a receipt of another kind: {kind}"),
    later("one of {choices}"),
    later("there is no such option; near it: {options}"),
    later("missing; it can stand in {variable} too"),
    later("others may use it (mode {mode}); make it {wanted}: chmod {command}"),
    later("others may use it: chmod {command}"),
    later("another charter root of {owner} is pinned"),
    later("another process writes {path}"),
    later("it has {count} applicants; a batch has 1 to {most}"),
    later("no column {wanted} in its heading; name it with --column"),
    later("the column {name} is written by this command; rename it"),
    later("it has {count} rows"),
    later("row {number} is about another subject"),
    later("rows {numbers} are about this subject; choose with --row"),
    later("no owner defined {feature}"),
    later("{organisation} is no data owner"),
    later("entry {entry} is no use of yours"),
    later("entry {entry} is no dispute of yours"),
    later("{held} with {owner} are open or just taken back: wait for its answers"),
    later("the batch has {rows} rows"),
    later("{owner} has no snapshot of epoch {epoch}"),
    later("there never was a version {version}"),
    later("{place} waits for no confirmation"),
    later("no table of the schema; it has {tables}"),
    later("{key} does not open it, or it is damaged"),
    later("{detail}; again in {seconds} s"),
    later("{size} entries, {grown} of them new"),
    later("sandbox level {level}, chain {index}"),
    later("process {number}, sandbox level {level}"),
    later("under version {version} of the charter"),
    later("no pinned charter root for {owner}"),
    later("{threshold} of the witnesses last cosigned {seconds} s ago"),
    later("its chain ends at {index}, and nothing later is known: nothing to decide"),
    later("is above the limit in all, {whole}"),
    later("{place} is not empty"),
    later("{place} is there already"),
    later("cannot listen on {address}"),
    later("the signature is not by {key}"),
    later("expected {kind}"),
    later("{name} is given twice"),
    later("{text} is not written as {what}"),
)
"""The same, with values in them; the code that gives one holds its words."""

_PLACE: Final = re.compile(r"\\{(\w+)\\}")
_SHAPES: Final = tuple(
    (re.compile(_PLACE.sub(r"(?P<\1>.+?)", re.escape(message)), re.DOTALL), message)
    for message in (*WITH_VALUES, *FAULTS_WITH_VALUES)
)


def say_rule(rule: str) -> str:
    """Give a rule in the language that is spoken, also where it stands after what it is about."""
    if (ours := in_our_words(rule)) is not None:
        return ours
    rule = without_prefix(rule)
    if (whole := say(rule)) != rule:
        return whole
    for shape, message in _SHAPES:
        if found := shape.fullmatch(rule):
            told = {name: say_rule(value) for name, value in found.groupdict().items()}
            return say(message, **told)
    about, colon, told = rule.partition(": ")
    return f"{about}: {say_rule(told)}" if colon else rule
