"""Column types: aware instants, lists of words and signatures, each with one form on disk."""

from __future__ import annotations

import json
from abc import abstractmethod
from datetime import UTC, datetime, timedelta
from typing import Final, Generic, TypeVar, cast

from sqlalchemy import Dialect, Integer, Text, TypeDecorator

from saferoom_proto.dsse import Signature
from saferoom_proto.encoding import b64, unb64
from saferoom_proto.reasons import Reason, SafeRoomError

T = TypeVar("T")
D = TypeVar("D")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class _Kept(TypeDecorator[T], Generic[T, D]):
    """A value of type T kept as a D of SQLite; None is NULL."""

    impl = Text  # SQLAlchemy wants one here; each type below names its own
    cache_ok = True

    @abstractmethod
    def write(self, value: T) -> D:
        """Give the form on disk."""

    @abstractmethod
    def read(self, kept: D) -> T:
        """Give the value back."""

    def process_bind_param(self, value: T | None, dialect: Dialect) -> D | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Write a value, or NULL."""
        return None if value is None else self.write(value)

    def process_result_value(self, value: D | None, dialect: Dialect) -> T | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Read a value, or NULL."""
        return None if value is None else self.read(value)


class Instant(_Kept[datetime, int]):
    """An aware instant, kept as whole microseconds since 1970 UTC; given back in UTC."""

    impl = Integer
    cache_ok = True

    def write(self, value: datetime) -> int:
        """Count the microseconds; an instant without a time zone is refused."""
        if value.utcoffset() is None:
            raise SafeRoomError(Reason.INTERNAL, "an instant without a time zone")
        return (value - _EPOCH) // _MICROSECOND

    def read(self, kept: int) -> datetime:
        """Give the instant in UTC."""
        return _EPOCH + kept * _MICROSECOND


class Words(_Kept[tuple[str, ...], str]):
    """A tuple of words, kept as a JSON list."""

    impl = Text
    cache_ok = True

    def write(self, value: tuple[str, ...]) -> str:
        """Write the words in their order."""
        return json.dumps(value, ensure_ascii=False)

    def read(self, kept: str) -> tuple[str, ...]:
        """Read the words."""
        return tuple(cast("list[str]", json.loads(kept)))


class Signatures(_Kept[tuple[Signature, ...], str]):
    """An envelope's signatures, kept as a JSON list of pairs of key id and base64."""

    impl = Text
    cache_ok = True

    def write(self, value: tuple[Signature, ...]) -> str:
        """Write the signatures in their order."""
        return json.dumps([(each.keyid, b64(each.sig)) for each in value])

    def read(self, kept: str) -> tuple[Signature, ...]:
        """Read the signatures."""
        pairs = cast("list[tuple[str, str]]", json.loads(kept))
        return tuple(Signature(keyid, unb64(sig)) for keyid, sig in pairs)
