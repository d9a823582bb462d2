"""A side's state as bytes, so that a killed participant takes up where it was.

The bytes hold what that side may see and nobody else: secret key, weights, masks. Whoever keeps
them seals them. The digest in front tells a file that broke off; it is no protection against
whoever can write it.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from saferoom_models.arrays import Floats, Integers
from saferoom_models.refusals import JointTrainingError, Refusal
from saferoom_models.vertical.columns import Prepared

_MAGIC: Final = b"SRJS\x00\x01"
_DIGEST_BYTES: Final = 32
_SUFFIX: Final = ".npy"


class Saved:
    """The arrays and bytes of one state, by name."""

    def __init__(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        self._arrays = arrays

    def has(self, name: str) -> bool:
        """Tell whether there is something of a name."""
        return name in self._arrays

    def floats(self, name: str) -> Floats:
        """Give real numbers."""
        return self._get(name).astype(np.float64)

    def integers(self, name: str) -> Integers:
        """Give whole numbers."""
        return self._get(name).astype(np.int64)

    def number(self, name: str) -> int:
        """Give one whole number."""
        return int(self.integers(name)[0])

    def data(self, name: str) -> bytes:
        """Give bytes."""
        return self._get(name).tobytes()

    def _get(self, name: str) -> NDArray[np.generic]:
        try:
            return self._arrays[name]
        except KeyError:
            raise JointTrainingError(Refusal.BAD_STATE, f"the state has no {name}") from None


def write_state(arrays: Mapping[str, Floats | Integers], data: Mapping[str, bytes]) -> bytes:
    """Write a state."""
    everything: dict[str, NDArray[np.generic]] = {**arrays}
    everything |= {name: np.frombuffer(content, np.uint8) for name, content in data.items()}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, array in everything.items():
            with archive.open(name + _SUFFIX, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    body = stream.getvalue()
    return _MAGIC + hashlib.sha256(body).digest() + body


def read_state(data: bytes) -> Saved:
    """Read a state that `write_state` wrote.

    Raises:
        JointTrainingError: `BAD_STATE`.
    """
    start = len(_MAGIC) + _DIGEST_BYTES
    body = data[start:]
    if data[:start] != _MAGIC + hashlib.sha256(body).digest():
        raise JointTrainingError(
            Refusal.BAD_STATE, "the state is broken off, altered or another's; start the job anew"
        )
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            arrays = {
                name.removesuffix(_SUFFIX): _array(archive, name) for name in archive.namelist()
            }
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise JointTrainingError(Refusal.BAD_STATE, "the state cannot be read") from error
    return Saved(arrays)


def _array(archive: zipfile.ZipFile, name: str) -> NDArray[np.generic]:
    with archive.open(name) as member:
        return np.lib.format.read_array(member, allow_pickle=False)


def columns_digest(columns: Prepared, extra: bytes = b"") -> bytes:
    """Tell whether a side brings the columns, and labels, that it started with."""
    digest = hashlib.sha256("\n".join(columns.names).encode() + b"\0")
    digest.update(np.ascontiguousarray(columns.whole).tobytes())
    digest.update(extra)
    return digest.digest()


def check_same(saved: Saved, name: str, own: bytes) -> None:
    """Check that a state belongs to what is at hand.

    Raises:
        JointTrainingError: `BAD_STATE`.
    """
    if saved.data(name) != own:
        raise JointTrainingError(Refusal.BAD_STATE, f"the state was saved with other {name}")
