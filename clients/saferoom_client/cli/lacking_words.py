"""Whose signatures something still needs, as it is told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from saferoom_client.tongue import say
from saferoom_client.values import Lacking


def say_lacking(missing: Iterable[Lacking]) -> str:
    """Tell whose signatures are missing."""
    return "; ".join(_said(each) for each in missing)


def lacking_document(missing: Iterable[Lacking]) -> list[dict[str, object]]:
    """Write it for a program."""
    return [asdict(each) for each in missing]


def _said(lacking: Lacking) -> str:
    names, organisation = ", ".join(lacking.names), lacking.organisation
    if lacking.number == len(lacking.names):
        return say("{names} at {organisation}", names=names, organisation=organisation)
    return say(
        "{number} of {names} at {organisation}",
        number=lacking.number,
        names=names,
        organisation=organisation,
    )
