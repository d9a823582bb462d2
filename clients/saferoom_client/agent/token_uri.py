"""PKCS #11 URIs: which token, which module reaches it, and where its PIN lies.

Source: RFC 7512, sections 2.3 and 2.4. Only what names one token and one secret is taken; a PIN in
the URI itself (`pin-value`) is not, since the agent's policy is no place for a secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

_SCHEME: Final = "pkcs11:"
_PATH: Final = frozenset({"token", "serial", "object"})
_QUERY: Final = frozenset({"module-path", "pin-source"})
_FORM: Final = "pkcs11:token=NAME;object=NAME?module-path=/LIBRARY.so&pin-source=file:/FILE"


@dataclass(frozen=True, slots=True)
class TokenUri:
    """One secret on one token.

    Attributes:
        token: the token's label.
        serial: its serial number; empty if the label is enough.
        object: what the labels of its keys begin with.
        module: the library that reaches it.
        pin_file: holds the PIN of its user; readable by the agent only.
    """

    token: str
    serial: str
    object: str
    module: Path
    pin_file: Path

    @classmethod
    def parse(cls, text: str) -> TokenUri:
        """Read a URI.

        Raises:
            SafeRoomError: `BAD_CONFIG` naming what is missing or not taken.
        """
        if not text.startswith(_SCHEME):
            raise _bad(f"it is written {_FORM}")
        path, _, query = text.removeprefix(_SCHEME).partition("?")
        parts = _attributes(path, ";", _PATH) | _attributes(query, "&", _QUERY)
        for needed in ("token", "object", "module-path", "pin-source"):
            if not parts.get(needed):
                raise _bad(f"{needed} is missing; it is written {_FORM}")
        return cls(
            token=parts["token"],
            serial=parts.get("serial", ""),
            object=parts["object"],
            module=_absolute(parts["module-path"], "module-path"),
            pin_file=_absolute(parts["pin-source"].removeprefix("file:"), "pin-source"),
        )


def _attributes(text: str, separator: str, known: frozenset[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in text.split(separator) if text else []:
        name, _, value = part.partition("=")
        if name == "pin-value":
            raise _bad("a PIN does not stand in the URI: put it into a file, and name that file")
        if name not in known or name in found:
            raise _bad(f"{name} is not taken, or stands twice; it is written {_FORM}")
        found[name] = unquote(value)
    return found


def _absolute(text: str, name: str) -> Path:
    path = Path(text)
    if not path.is_absolute():
        raise _bad(f"{name} is an absolute path")
    return path


def _bad(rule: str) -> SafeRoomError:
    detail = f"the token's URI: {rule}"
    return SafeRoomError(Reason.BAD_CONFIG, detail, [FieldFault("token", rule)])
