"""A broker's configuration, `broker.toml` in its folder. An unknown key is an error that names it.

socket = "/srv/saferoom/tax-enclave/broker/s"   # where the enclave listens for it

[sources.tax_arrears]                           # as the tables' `source` names it
url = "https://gateway.example/v1/tax_arrears"  # the subject's code is put behind it
authorities = "provider-ca.pem"                 # who vouches for the provider's certificate
certificate = "client.pem"                      # what the provider knows this broker by
key = "client.key"
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from saferoom_client.files import bad_file, read_file
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import Owner
from saferoom_proto.statements.base import field_faults
from saferoom_proto.toml_text import read_toml

FILE: Final = "broker.toml"

_HOST: Final = re.compile(
    r"([A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?"
)
_PATH: Final = re.compile(r"(/[A-Za-z0-9._~-]+)*/?")


def _interface(url: str) -> str:
    parts = urlsplit(url)
    plain = parts.scheme == "https" and not parts.query and not parts.fragment
    if not plain or not _HOST.fullmatch(parts.netloc) or not _PATH.fullmatch(parts.path):
        raise ValueError("an interface is https://HOST[:PORT]/PATH, without a query")
    if parts.port == 0:  # one that is none raises by itself
        raise ValueError("a port is 1 to 65535")
    return url.rstrip("/")


_Text = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class SourceConfig(BaseModel):
    """One source: a provider's interface, and how much it is asked."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    url: Annotated[_Text, AfterValidator(_interface)]
    """What stands before the subject's code."""
    authorities: _Text
    """PEM, from the broker's folder: who vouches for the provider. No other authority counts."""
    certificate: _Text
    """PEM, from the broker's folder: what the provider knows the broker by."""
    key: _Text
    """PEM, from the broker's folder, readable by its user only."""
    seconds: Annotated[float, Field(gt=0, le=10)] = 8.0
    """For one subject, all tries together."""
    tries: Annotated[int, Field(ge=1, le=5)] = 3
    per_second: Annotated[float, Field(gt=0, le=1000)] = 5.0
    per_day: Annotated[int, Field(ge=1, le=10_000_000)] = 10_000
    """Requests in a day (UTC), tries included: also the most that can be told through them."""


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    socket: Annotated[str, StringConstraints(pattern=r"^/[^\x00]{1,106}$")]
    sources: Annotated[dict[Owner, SourceConfig], Field(min_length=1, max_length=64)]


@dataclass(frozen=True, slots=True)
class BrokerConfig:
    """Whom a broker may ask.

    Attributes:
        folder: that the files of its sources are looked for in.
        socket: where the enclave listens.
        sources: by the names that tables give them.
    """

    folder: Path
    socket: Path
    sources: dict[str, SourceConfig]

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a broker's folder.

        Raises:
            SafeRoomError: `BAD_CONFIG` naming the key and the rule.
        """
        path = folder / FILE
        try:
            read = _File.model_validate(read_toml(read_file(path)))
        except ValidationError as error:
            faults = [FieldFault(f"{path}: {one.field}", one.rule) for one in field_faults(error)]
            raise SafeRoomError(Reason.BAD_CONFIG, f"{path} is not usable", faults) from None
        except ValueError as error:
            raise bad_file(path, str(error)) from error
        return cls(folder, Path(read.socket), dict(read.sources))

    def source(self, name: str) -> SourceConfig:
        """Give a source.

        Raises:
            SafeRoomError: `BAD_CONFIG` if there is none of that name.
        """
        if name not in self.sources:
            known = ", ".join(sorted(self.sources))
            raise bad_file(self.folder / FILE, f"no source {name}; there are: {known}")
        return self.sources[name]
