"""Discrete Laplace noise, made and reckoned by OpenDP; there is no sampler of our own (ADR 48).

OpenDP draws by Canonne, Kamath and Steinke 2020, in whole numbers, so that no rounding of floats
tells of the true number (Mironov 2012); its bits are OpenSSL's, seeded by the operating system in
each process that loads it.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Protocol, cast

from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.tables.privacy import Noise

INSTALL: Final = "pip install 'saferoom[privacy]'"
"""What an enclave's operator types for tables and bands with noise."""

_SCALES: Final = 8
"""How many are tried, each the next float: a division is at most one off."""
_WHOLE: Final = "i64"


class _Measurement(Protocol):
    def map(self, d_in: int) -> float: ...
    def __call__(self, arg: list[int]) -> list[int]: ...


class _Domains(Protocol):
    def vector_domain(self, atom_domain: object) -> object: ...
    def atom_domain(self, *, T: str) -> object: ...  # noqa: N803 - OpenDP's name


class _Metrics(Protocol):
    def l1_distance(self, T: str) -> object: ...  # noqa: N803 - OpenDP's name


class _Measurements(Protocol):
    def make_laplace(self, domain: object, metric: object, *, scale: float) -> _Measurement: ...


@dataclass(frozen=True, slots=True)
class _OpenDP:
    """What is used of OpenDP's modules, whose own types are partly unknown."""

    domains: _Domains
    metrics: _Metrics
    measurements: _Measurements


def require_noise() -> None:
    """Refuse where OpenDP is not there, before anything is charged or made.

    Raises:
        SafeRoomError: `NOT_INSTALLED`.
    """
    if importlib.util.find_spec("opendp") is None:
        raise SafeRoomError(
            Reason.NOT_INSTALLED, f"what is told with noise needs OpenDP: {INSTALL}"
        )


def blurred(exact: Sequence[int], noise: Noise) -> list[int]:
    """Add noise to all numbers of a family, as much as OpenDP says that its epsilon takes.

    Args:
        exact: in steps.
        noise: by how many steps one subject alters them together, and the family's epsilon.

    Raises:
        SafeRoomError: `INTERNAL` if OpenDP reckons more than epsilon.
    """
    # In children only, and only in those that make noise. `opendp.prelude` would load scikit-learn,
    # where that is there, and take ten times as long.
    from opendp import domains, measurements, metrics, mod  # noqa: PLC0415

    opendp = _OpenDP(
        cast("_Domains", domains),
        cast("_Metrics", metrics),
        cast("_Measurements", measurements),
    )
    # Proofs of some of it OpenDP's reviewers have not read; without it there is no Laplace noise.
    mod.enable_features("contrib")
    domain = opendp.domains.vector_domain(opendp.domains.atom_domain(T=_WHOLE))
    metric = opendp.metrics.l1_distance(T=_WHOLE)
    scale = float(noise.scale)
    for _ in range(_SCALES):
        measurement = opendp.measurements.make_laplace(domain, metric, scale=scale)
        if Fraction(measurement.map(noise.touched)) <= noise.epsilon:
            return measurement(list(exact))
        scale = math.nextafter(scale, math.inf)
    raise SafeRoomError(Reason.INTERNAL, "no scale keeps to epsilon")
