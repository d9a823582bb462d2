"""Rules in the words of the libraries below us, and what we say instead, in either language.

pydantic checks statements, files and options, protovalidate the calls, Typer the command line, and
the operating system the files. What they say is for programmers, and in English only.
"""

from __future__ import annotations

import re
from typing import Final

from saferoom_client.tongue import later, say

_NAMES: Final = {
    "^[a-z][a-z0-9_-]{0,62}$": later("a name: a lower case letter, then letters, digits, - and _"),
    "^[a-z][a-z0-9_]{0,62}$": later("a name: a lower case letter, then letters, digits and _"),
    r"^[a-z][a-z0-9_]{0,62}\.[a-z][a-z0-9_]{0,62}$": later(
        "two names with a dot between: owner.feature, or table.column"
    ),
    "^sha256:[0-9a-f]{64}$": later("a digest: sha256: and 64 digits or letters a to f"),
    "^(sha256|sm3):[0-9a-f]{64}$": later(
        "a digest: sha256: or sm3: and 64 digits or letters a to f"
    ),
    "^([a-z][a-z0-9_-]{0,62}|[0-9A-Z]{18})$": later(
        "a name (a lower case letter, then letters, digits, - and _), or a subject's code"
    ),
    "^[a-z0-9][a-z0-9.-]{0,252}(/[a-z0-9-]{1,63})*$": later("a room's name, as example.org/credit"),
}
"""What the patterns mean that people meet; any other is shown as it is."""

_PREFIXES: Final = ("Value error, ", "Assertion failed, ")
"""Before a rule of our own that pydantic passes on."""

_SAID: Final = tuple(
    (re.compile(pattern, re.DOTALL), message)
    for pattern, message in (
        # pydantic (pydantic_core/core_schema errors)
        (r"Field required", later("missing")),
        (r"Extra inputs are not permitted", later("unknown key")),
        (r"String should have at least 1 character", later("it may not be empty")),
        (
            r"String should have at least (?P<least>\d+) characters",
            later("at least {least} characters"),
        ),
        (
            r"String should have at most (?P<most>\d+) characters?",
            later("at most {most} characters"),
        ),
        (
            r"(?:List|Tuple|Set|Dictionary|Value) should have at least (?P<least>\d+) items? .*",
            later("at least {least} of them"),
        ),
        (
            r"(?:List|Tuple|Set|Dictionary|Value) should have at most (?P<most>\d+) items? .*",
            later("at most {most} of them"),
        ),
        (
            r"Input should be greater than or equal to (?P<least>\S+)",
            later("it must be {least} or more"),
        ),
        (
            r"Input should be less than or equal to (?P<most>\S+)",
            later("it must be {most} or less"),
        ),
        (r"Input should be greater than (?P<bound>\S+)", later("it must be more than {bound}")),
        (r"Input should be less than (?P<bound>\S+)", later("it must be less than {bound}")),
        (r"Input should be a valid integer.*", later("a whole number is expected")),
        (r"Input should be a valid (?:number|decimal).*", later("a number is expected")),
        (r"Input should be a valid string", later("text is expected")),
        (r"Input should be a valid boolean.*", later("true or false is expected")),
        (r"Input should be a valid (?:list|tuple|array)", later("a list is expected")),
        (
            r"Input should be (?:a valid dictionary|an object).*",
            later("names with values are expected"),
        ),
        (r"Input should be a valid date.*", later("a date is expected, as 2026-01-31")),
        (
            r"'(?P<text>.*)' does not match the formats? .*",
            later("{text} is no date, as 2026-01-31"),
        ),
        (r"Input should be (?P<choices>'.*'|\d.*)", later("it must be {choices}")),
        (
            r"'(?P<text>.*)' is not one of (?P<choices>.*?)\.?",
            later("{text} is not one of {choices}"),
        ),
        # protovalidate, as its rules in validate.proto say
        (r"value is required", later("missing")),
        (r"must be at least 1 (?:characters|bytes)", later("it may not be empty")),
        (r"must be at least (?P<least>\d+) characters", later("at least {least} characters")),
        (r"must be at most (?P<most>\d+) characters", later("at most {most} characters")),
        (r"must be at least (?P<least>\d+) bytes", later("at least {least} bytes")),
        (r"must be at most (?P<most>\d+) bytes", later("at most {most} bytes")),
        (r"must contain at least (?P<least>\d+) item\(s\)", later("at least {least} of them")),
        (r"must contain no more than (?P<most>\d+) item\(s\)", later("at most {most} of them")),
        (
            r"must be greater than or equal to (?P<least>\S+) and .* (?P<most>\S+)",
            later("it must be from {least} to {most}"),
        ),
        (r"must be greater than or equal to (?P<least>\S+)", later("it must be {least} or more")),
        (r"must be less than or equal to (?P<most>\S+)", later("it must be {most} or less")),
        # Typer
        (
            r"(?:file|dir|directory|path) '(?P<path>.*)' does not exist\.",
            later("{path}: it is not there"),
        ),
        (
            r"(?:file|dir|directory|path) '(?P<path>.*)' is a file\.",
            later("{path}: it is a file, and a folder is expected"),
        ),
        (
            r"(?:file|dir|directory|path) '(?P<path>.*)' is a directory\.",
            later("{path}: it is a folder, and a file is expected"),
        ),
        (
            r"(?:file|dir|directory|path) '(?P<path>.*)' is not readable\.",
            later("{path}: it may not be read"),
        ),
        (r"Option '(?P<option>.*)' requires an argument\.", later("{option} takes a value")),
        (
            r"Got unexpected extra arguments?(?:\(s\))? \((?P<words>.*)\)",
            later("more words than it takes: {words}"),
        ),
        # The operating system (errno)
        (r"No such file or directory", later("it is not there")),
        (r"Permission denied", later("it is not allowed to you")),
        (r"Operation not permitted", later("it is not allowed to you")),
        (r"Is a directory", later("it is a folder, and a file is expected")),
        (r"Not a directory", later("a part of its path is no folder")),
        (r"Read-only file system", later("nothing can be written there: the disk is read-only")),
        (r"No space left on device", later("the disk is full")),
        (r"File too large|Disk quota exceeded", later("no more may be written there")),
        (r"File name too long", later("its name is too long")),
        (r"File exists", later("it is there already")),
        (r"Address already in use", later("another program uses this address")),
        # gRPC
        (
            r"(?:UNAVAILABLE: )?failed to connect to all addresses.*ipv[46]:(?P<address>\S+): .*",
            later("nobody answers at {address}: is the room up, and is this its address?"),
        ),
        # JSON
        (
            r"JSON, line (?P<line>\d+) column (?P<column>\d+): .*",
            later("it is no whole JSON document: line {line}, column {column}"),
        ),
        (r"JSON: 'utf-8' codec can't decode .*", later("it is no JSON: its text is not UTF-8")),
    )
)

_PATTERN: Final = re.compile(
    r"(?:String should match pattern '(?P<pydantic>.*)'"
    r"|does not match regex pattern `(?P<protovalidate>.*)`)"
)

_OPTIONAL: Final = re.compile(r"\^\((.*)\)\?\$")
"""A pattern that an empty text fits too: what is not empty follows the pattern within."""


def in_our_words(rule: str) -> str | None:
    """Say what a library's rule means; none for a rule that is not a library's."""
    rule = without_prefix(rule)
    if named := _PATTERN.fullmatch(rule):
        pattern = named["pydantic"] or named["protovalidate"]
        if optional := _OPTIONAL.fullmatch(pattern):
            pattern = f"^{optional[1]}$"
        if pattern in _NAMES:
            return say(_NAMES[pattern])
        return say("it must be written as {pattern}", pattern=pattern)
    for known, message in _SAID:
        if found := known.fullmatch(rule):
            values = found.groupdict()
            if choices := values.get("choices"):
                values["choices"] = choices.replace(" or ", say(" or "))
            return say(message, **values) if values else say(message)
    return None


def without_prefix(rule: str) -> str:
    """Give a rule of our own as it was before pydantic passed it on."""
    for prefix in _PREFIXES:
        rule = rule.removeprefix(prefix)
    return rule
