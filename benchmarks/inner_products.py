"""The step that training spends itself on, X^T · Enc(d), by three libraries in one run.

`python -m benchmarks.inner_products [--rows ROWS] [--columns COLUMNS]`. One side seals a number a
row and sends it, the other multiplies by its columns and sends sums back, the first opens them:
sealing, saving, loading, multiplying and opening are all counted, keys and the columns' own form,
which are made once a job, are not. All in one thread, at 128-bit security:

- ours: BFV as joint training uses it, replies blinded, streams checked as foreign ones;
- TenSEAL's CKKS vectors (degree 8192), by `dot`, and by products slot by slot, which the opener
  adds up, under a mask; neither hides from the key's owner what CKKS leaves in the noise;
- python-paillier with gmpy2, keys of 3072 bits: a few rows and columns are timed and multiplied up,
  since the whole takes minutes. Whole numbers; its replies are not made random again.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np
import phe
import tenseal
from rich.console import Console
from rich.table import Table

from saferoom_models.arrays import Floats, Integers
from saferoom_models.vertical import foreign
from saferoom_models.vertical.blinding import Blinder
from saferoom_models.vertical.packing import pack_plain
from saferoom_models.vertical.scheme import DEGREE, MODULUS, Key, centred, scheme, uniform

COLUMN_BITS: Final = 13
RESIDUAL_BITS: Final = 20
CKKS_SLOTS: Final = DEGREE // 2
CKKS_SCALE: Final = 2.0**40
PAILLIER_BITS: Final = 3072
PAILLIER_ROWS: Final = 100
PAILLIER_COLUMNS: Final = 2
MEGA: Final = 1e6


@dataclass
class Route:
    """What one way through the step took: processor seconds a part, bytes, and its sums."""

    name: str
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    sent: int = 0
    sums: Floats = field(default_factory=lambda: np.zeros(0))

    @contextmanager
    def part(self, name: str) -> Generator[None]:
        """Count a part."""
        began = time.process_time()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - began

    @property
    def total(self) -> float:
        """All parts."""
        return sum(self.seconds.values())


def ours(columns: Integers, residuals: Integers) -> Route:
    """Go the way of joint training."""
    route, own = Route("ours: BFV, blinded"), scheme()
    key, public = Key.fresh()
    blinder = Blinder(foreign.open_public_key(public))
    packing = pack_plain(*columns.shape)
    factors = [
        [
            own.factor(own.coefficients(polynomial))
            for polynomial in packing.polynomials(columns, at)
        ]
        for at in range(packing.groups)
    ]
    with route.part("seal"):
        chunks = packing.split(residuals % MODULUS)
        sealed = [key.seal(own.coefficients(chunk)) for chunk in chunks]
    with route.part("multiply"):
        opened = [foreign.open_ciphertext(each, foreign.SEALED) for each in sealed]
        for each in opened:
            own.evaluator.transform_to_ntt_inplace(each)
        masks = [uniform(DEGREE, os.urandom) for _ in factors]
        replies = [
            blinder.reply(zip(opened, group, strict=True), own.coefficients(mask))
            for group, mask in zip(factors, masks, strict=True)
        ]
    with route.part("open"):
        found: list[int] = []
        for at, (reply, mask) in enumerate(zip(replies, masks, strict=True)):
            plain = key.open(foreign.open_ciphertext(reply, foreign.REPLY))
            places = packing.places(at)
            found += [(plain[place] - int(mask[place])) % MODULUS for place in places]
    route.sums = centred(found)
    route.sent = sum(map(len, (*sealed, *replies)))
    return route


def ckks(columns: Integers, residuals: Integers, *, slots: bool) -> Route:
    """Go the way of TenSEAL's vectors: by `dot`, or slot by slot under a mask."""
    route = Route(f"TenSEAL CKKS, {'slots' if slots else 'dot'}")
    context = tenseal.context(
        tenseal.SCHEME_TYPE.CKKS, DEGREE, coeff_mod_bit_sizes=[60, 40, 40, 60], n_threads=1
    )
    context.global_scale = CKKS_SCALE
    context.generate_galois_keys()
    cuts = list(pairwise([*range(0, len(residuals), CKKS_SLOTS), len(residuals)]))
    scaled = columns / 2.0**COLUMN_BITS
    factors = [[scaled[a:b, at].tolist() for a, b in cuts] for at in range(columns.shape[1])]
    with route.part("seal"):
        values = residuals / 2.0**RESIDUAL_BITS
        sealed = [tenseal.ckks_vector(context, values[a:b].tolist()).serialize() for a, b in cuts]
    with route.part("multiply"):
        opened = [tenseal.ckks_vector_from(context, each) for each in sealed]
        # A shorter last chunk has a reply of its own, since vectors of unlike length do not add.
        whole = sum(1 for a, b in cuts if b - a == CKKS_SLOTS)
        ends = [part for part in ((0, whole), (whole, len(cuts))) if part[0] < part[1]]
        if not slots:
            ends = [(0, len(cuts))]
        masks: list[list[Floats]] = []
        replies: list[list[bytes]] = []
        for factor in factors:
            own_masks, own_replies = list[Floats](), list[bytes]()
            for first, last in ends:
                terms = [
                    (opened[at] * factor[at]) if slots else opened[at].dot(factor[at])
                    for at in range(first, last)
                ]
                total = terms[0]
                for term in terms[1:]:
                    total = total + term
                mask = np.random.default_rng().uniform(-1e4, 1e4, total.size())
                own_masks.append(mask)
                own_replies.append((total + mask.tolist()).serialize())
            masks.append(own_masks)
            replies.append(own_replies)
    with route.part("open"):
        found = [
            sum(
                float(np.sum(tenseal.ckks_vector_from(context, reply).decrypt()) - mask.sum())
                for reply, mask in zip(own, hidden, strict=True)
            )
            for own, hidden in zip(replies, masks, strict=True)
        ]
    route.sums = np.array(found) * 2.0 ** (COLUMN_BITS + RESIDUAL_BITS)
    route.sent = sum(map(len, sealed)) + sum(len(each) for own in replies for each in own)
    return route


def paillier_numbers(columns: Integers, residuals: Integers) -> Route:
    """Go the way of python-paillier, a small part of it, and multiply up."""
    route = Route("python-paillier")
    rows, count = min(PAILLIER_ROWS, len(residuals)), min(PAILLIER_COLUMNS, columns.shape[1])
    public, private = phe.generate_paillier_keypair(n_length=PAILLIER_BITS)
    with route.part("seal"):
        sealed = [public.encrypt(int(each)) for each in residuals[:rows]]
    with route.part("multiply"):
        sums: list[phe.EncryptedNumber] = []
        for at in range(count):
            total = public.encrypt(0)
            for value, factor in zip(sealed, columns[:rows, at], strict=True):
                total = total + value * int(factor)
            sums.append(total)
    with route.part("open"):
        found = [private.decrypt(each) for each in sums]
    exact: Integers = residuals[:rows] @ columns[:rows, :count]
    if exact.tolist() != found:
        raise SystemExit("python-paillier's sums are not the sums")
    more_rows, more_columns = len(residuals) / rows, columns.shape[1] / count
    route.seconds["seal"] *= more_rows
    route.seconds["multiply"] *= more_rows * more_columns
    route.seconds["open"] *= more_columns
    route.sent = PAILLIER_BITS // 4 * (len(residuals) + columns.shape[1])
    route.sums = (residuals @ columns).astype(np.float64)  # of the part they were compared above
    return route


def best_of(times: int, way: Callable[[], Route]) -> Route:
    """Go a way so many times, and give the quickest."""
    return min((way() for _ in range(times)), key=lambda route: route.total)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rows", type=int, default=30_000)
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--times", type=int, default=5, help="the quickest of so many; Paillier 1")
    asked = parser.parse_args()
    draw, ends = np.random.default_rng(1), (1 << COLUMN_BITS, 1 << RESIDUAL_BITS)
    rows, count = int(asked.rows), int(asked.columns)
    columns: Integers = draw.integers(-ends[0], ends[0], (rows, count))
    residuals: Integers = draw.integers(-ends[1], ends[1], rows)
    exact: Floats = (residuals @ columns).astype(np.float64)
    routes = [
        best_of(asked.times, lambda: ours(columns, residuals)),
        best_of(asked.times, lambda: ckks(columns, residuals, slots=True)),
        best_of(asked.times, lambda: ckks(columns, residuals, slots=False)),
        paillier_numbers(columns, residuals),
    ]
    table = Table("route", "seal s", "multiply s", "open s", "all s", "of ours", "MB", "error")
    for route in routes:
        parts = (f"{route.seconds[part]:,.3f}" for part in ("seal", "multiply", "open"))
        off = np.abs(route.sums - exact).max() / np.abs(exact).max()
        table.add_row(
            route.name,
            *parts,
            f"{route.total:,.3f}",
            f"{route.total / routes[0].total:,.1f}",
            f"{route.sent / MEGA:.1f}",
            "none" if off == 0 else f"{off:.0e}",
        )
    console = Console(width=100)
    console.print(f"{rows:,} rows x {count} columns, processor seconds", table)


if __name__ == "__main__":
    main()
