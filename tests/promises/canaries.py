"""Values planted in a store that must never be seen again, and the search for them in any form."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_SKIPPED: Final = (0, 1, 2)
"""Base64 of a text differs by where in a group of three bytes it begins."""


def forms(canary: str) -> dict[str, bytes]:
    """Give every form in which a value could stand in bytes, by its name."""
    found = {
        "text": canary.encode(),
        "utf-16": canary.encode("utf-16-le"),
        "hex": canary.encode().hex().encode(),
        "reversed": canary[::-1].encode(),
    }
    for skipped in _SKIPPED:
        encoded = base64.b64encode(bytes(skipped) + canary.encode())
        # The characters that mix with what stands before and after are cut off.
        found[f"base64+{skipped}"] = encoded[-(-8 * skipped // 6) : -4]
    if canary.isdigit() and not canary.startswith("9199"):
        found |= _number(int(canary))
    return found


def _number(number: int) -> dict[str, bytes]:
    varint, rest = bytearray(), number
    while rest > 0x7F:
        varint.append(rest & 0x7F | 0x80)
        rest >>= 7
    varint.append(rest)
    return {
        "little-endian": struct.pack("<q", number),
        "big-endian": struct.pack(">q", number),
        "double": struct.pack("<d", number),
        "varint": bytes(varint),
        "fixed point": struct.pack("<q", number * 10_000),
        "hex number": f"{number:x}".encode(),
        "grouped": f"{number:,}".encode(),
    }


@dataclass(slots=True)
class Sweep:
    """What left, by where it was seen, and the canaries that are looked for in it.

    Args:
        canaries: the planted values, by what each stands for.
    """

    canaries: Mapping[str, str]
    seen: dict[str, list[bytes]] = field(default_factory=dict[str, list[bytes]])

    def saw(self, where: str, *what: bytes | str) -> None:
        """Keep what was seen somewhere."""
        for each in what:
            data = each if isinstance(each, bytes) else each.encode("utf-8", "replace")
            self.seen.setdefault(where, []).append(data)

    def saw_folder(self, folder: Path, besides: Iterable[Path] = ()) -> int:
        """Keep every file below a folder, but for some; give how many."""
        left_out = {path.resolve() for path in besides}
        count = 0
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.resolve() not in left_out:
                self.saw(str(path.relative_to(folder)), str(path), path.read_bytes())
                count += 1
        return count

    def found(self) -> list[tuple[str, str, str]]:
        """Search everything: where, which canary, in which form."""
        return list(self._found())

    def _found(self) -> Iterator[tuple[str, str, str]]:
        looked_for = [
            (name, form, needle)
            for name, canary in self.canaries.items()
            for form, needle in forms(canary).items()
        ]
        for where, pieces in self.seen.items():
            for data in pieces:
                for text in (data, *_unpacked(data)):
                    yield from (
                        (where, name, form) for name, form, needle in looked_for if needle in text
                    )


def _unpacked(data: bytes) -> Iterator[bytes]:
    """Give what a whole gzip or zlib stream holds, if it is one."""
    if data[:2] in (b"\x1f\x8b", b"\x78\x9c", b"\x78\xda"):
        try:
            yield zlib.decompress(data, wbits=47)
        except zlib.error:
            return
