"""Links: tables whose rows name an account or a certificate, and find their subject through a map.

The **map** is a table of the same store: a number, whose it is and, where it says so, from which
day to which. A linked table's key stands in no file: the owner's enclave fills it in at a load.
"""

from __future__ import annotations

import operator
from typing import Annotated

from pydantic import Field, model_validator

from saferoom_proto.statements.base import Owner, Part

_Named = Annotated[Owner | None, Field(exclude_if=operator.not_)]


class Link(Part):
    """How the rows of a table that names no subject find theirs."""

    column: Owner
    """Holds the number; called so in both tables. It names somebody, so its level is 4."""
    map: Owner
    """The table that says whose each number is."""
    at: _Named = None
    """The row's own day (DATE) or month (TEXT, YYYY-MM), for which the map is read."""
    since: _Named = None
    """The map's column (DATE) with the first day on which a number is a subject's; empty: ever."""
    until: _Named = None
    """And with the last one; empty: still."""

    @model_validator(mode="after")
    def _of_days(self) -> Link:
        if (self.at is not None) != (self.since is not None or self.until is not None):
            rule = "at names the row's day where since or until name the map's, and only there"
            raise ValueError(rule)
        if self.since is not None and self.since == self.until:
            raise ValueError("since and until are two columns")
        return self
