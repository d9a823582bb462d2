"""matplotlib's own types are partly unknown; these are the names of it that are used."""

from collections.abc import Mapping
from contextlib import AbstractContextManager

def rc_context(rc: Mapping[str, str | bool]) -> AbstractContextManager[None]: ...
