"""Which language the command line speaks: English, or Chinese where its user's locale says so.

Only words for people change. Reasons are codes, and what `--json` prints is the same everywhere.
English stands in the code and is the key to `locale/`; `make words` keeps that up to date.
"""

from __future__ import annotations

import gettext
import gzip
import os
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Final, Protocol

DOMAIN: Final = "saferoom"
TYPERS_DOMAIN: Final = "typer"
"""A few words that Typer looks up by itself, in a catalogue that any gettext reads."""
CATALOGUES: Final = Path(__file__).parent / "locale"

VARIABLE: Final = "SAFEROOM_LANG"
_LOCALE: Final = ("LC_ALL", "LC_MESSAGES", "LANG")
"""Where a locale stands, the first that is set (POSIX, section 8.2)."""


class Language(StrEnum):
    """What the command line speaks."""

    EN = "en"
    ZH = "zh"

    @property
    def catalogue(self) -> str:
        """The folder of its catalogue, as gettext names locales."""
        return {Language.EN: "en", Language.ZH: "zh_CN"}[self]


class Title(Protocol):
    """A name for people in both languages, as statements hold it."""

    @property
    def en(self) -> str:
        """In English."""
        ...

    @property
    def zh(self) -> str:
        """In Chinese."""
        ...


def language_of(environment: Mapping[str, str]) -> Language:
    """Give the language that an environment asks for: Chinese if it names any Chinese locale."""
    for name in (VARIABLE, *_LOCALE):
        if asked := environment.get(name):
            return Language.ZH if asked.lower().startswith("zh") else Language.EN
    return Language.EN


def speak(language: Language) -> None:
    """Speak a language from now on, in this process and in those that it starts."""
    os.environ["LANGUAGE"] = language.catalogue
    # Typer has words of its own, which it looks up in gettext's current domain.
    gettext.bindtextdomain(TYPERS_DOMAIN, str(CATALOGUES))
    gettext.textdomain(TYPERS_DOMAIN)


def say(message: str, /, **values: object) -> str:
    """Give a message in the language that is spoken, its values put in.

    Args:
        message: in English, with a place `{name}` for each value; the key to the catalogue.
        values: for people; each keeps its format, as in `{bits:.2f}`.
    """
    said = _catalogue(os.environ.get("LANGUAGE", "")).gettext(message) if message else ""
    return said.format(**values) if values else said


def say_in(language: Language, message: str) -> str:
    """Give a message in one language, whichever is spoken."""
    return _catalogue(language.catalogue).gettext(message)


def titled(title: Title) -> str:
    """Give a title's text in the language that is spoken."""
    return title.zh if spoken() is Language.ZH else title.en


def spoken() -> Language:
    """Give the language that is spoken."""
    chinese = os.environ.get("LANGUAGE") == Language.ZH.catalogue
    return Language.ZH if chinese else Language.EN


def later(message: str) -> str:
    """Give a message back as it is: it is said where it is shown, and listed for `locale/` here."""
    return message


@cache
def _catalogue(language: str) -> gettext.NullTranslations:
    """Read a language's catalogue, which is packed: a third of its size. English needs none."""
    path = CATALOGUES / language / "LC_MESSAGES" / f"{DOMAIN}.mo"
    if not path.is_file():
        return gettext.NullTranslations()
    with gzip.open(path) as file:
        return gettext.GNUTranslations(file)
