"""Encrypted inner products are the integers' own, and a reply tells nothing beside them."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tenseal import sealapi as seal

from saferoom_models.arrays import Integers
from saferoom_models.refusals import JointTrainingError, Refusal
from saferoom_models.vertical.blinding import Blinder, Term
from saferoom_models.vertical.columns import check_exact
from saferoom_models.vertical.foreign import REPLY, SEALED, open_ciphertext, open_public_key
from saferoom_models.vertical.packing import Packing, pack_plain, pack_sealed, products_modulo
from saferoom_models.vertical.scheme import DEGREE, MODULUS, PLAIN_BITS, Key, scheme, uniform
from saferoom_models.vertical.sigmoid import split_sigmoid
from saferoom_models.vertical.terms import Terms

KEY, PUBLIC = Key.fresh()
BLINDER = Blinder(open_public_key(PUBLIC))
LIMIT = 1 << 13


def sealed_factor(values: Integers) -> seal.Ciphertext:
    opened = open_ciphertext(KEY.seal(scheme().coefficients(values)), SEALED)
    scheme().evaluator.transform_to_ntt_inplace(opened)
    return opened


def factor(values: Integers) -> seal.Plaintext | None:
    return scheme().factor(scheme().coefficients(values)) if values.any() else None


def encrypted_products(packing: Packing, columns: Integers, residuals: Integers) -> list[int]:
    sealed = [sealed_factor(chunk) for chunk in packing.split(residuals)]
    found: list[int] = []
    for group in range(packing.groups):
        factors = [factor(polynomial) for polynomial in packing.polynomials(columns, group)]
        terms: list[Term] = list(zip(sealed, factors, strict=True))
        mask = uniform(DEGREE, os.urandom)
        reply = BLINDER.reply(terms, scheme().coefficients(mask))
        plain = KEY.open(open_ciphertext(reply, REPLY))
        found += [(plain[at] - int(mask[at])) % MODULUS for at in packing.places(group)]
    return found


def plain_products(columns: Integers, residuals: Integers) -> list[int]:
    rows, width = columns.shape
    return [
        sum(int(columns[i, j]) * int(residuals[i]) for i in range(rows)) % MODULUS
        for j in range(width)
    ]


@settings(max_examples=12, deadline=None)
@given(
    st.integers(1, 3000), st.integers(1, 6), st.sampled_from([1, 2, 4, 8, 32]), st.integers(0, 999)
)
def test_an_encrypted_inner_product_is_the_integers_own(
    rows: int, width: int, together: int, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    columns = draw.integers(-LIMIT, LIMIT, (rows, width), endpoint=True)
    residuals = draw.integers(0, MODULUS, rows)
    packing = Packing(rows, width, together)
    assert encrypted_products(packing, columns, residuals) == plain_products(columns, residuals)


def test_zero_columns_zero_chunks_and_the_largest_numbers_are_exact() -> None:
    rows = 2 * DEGREE + 1
    columns = np.zeros((rows, 3), np.int64)
    columns[:, 1] = LIMIT
    columns[-1, 2] = -LIMIT
    residuals = np.full(rows, MODULUS - 1)
    packing = pack_plain(rows, 3)
    assert encrypted_products(packing, columns, residuals) == plain_products(columns, residuals)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(-LIMIT, LIMIT), st.integers(0, MODULUS - 1)), min_size=1))
def test_local_products_are_exact(pairs: list[tuple[int, int]]) -> None:
    columns = np.array([[x] for x, _ in pairs], dtype=np.int64)
    residuals = np.array([d for _, d in pairs], dtype=np.int64)
    assert products_modulo(columns, residuals) == plain_products(columns, residuals)


def test_local_products_stay_exact_at_the_most_rows() -> None:
    columns = np.full((300_000, 1), LIMIT)
    residuals = np.full(300_000, MODULUS - 1)
    assert products_modulo(columns, residuals) == [300_000 * LIMIT * (MODULUS - 1) % MODULUS]


def test_the_plaintext_modulus_is_seals_and_the_scheme_has_its_128_bits() -> None:
    assert seal.PlainModulus.Batching(DEGREE, PLAIN_BITS).value() == MODULUS
    assert scheme().context.parameters_error_message() == "valid"
    assert seal.CoeffModulus.MaxBitCount(DEGREE, seal.SEC_LEVEL_TYPE.TC128) == 218


def test_slots_and_coefficients_come_back_as_they_were() -> None:
    values = uniform(DEGREE, os.urandom)
    assert (scheme().read_slots(scheme().slots(values)) == values).all()
    plain = KEY.open(open_ciphertext(KEY.seal(scheme().coefficients(values)), SEALED))
    assert [plain[at] for at in range(0, DEGREE, 977)] == values[::977].tolist()


def test_masks_are_uniform_below_the_modulus() -> None:
    drawn = uniform(40_000, os.urandom)
    assert drawn.min() >= 0
    assert drawn.max() < MODULUS
    counts = np.bincount(drawn * 16 // MODULUS, minlength=16)
    # Chi-square with 15 degrees of freedom passes 60 once in three million runs.
    assert ((counts - 2500) ** 2 / 2500).sum() < 60


def test_a_reply_has_one_size_and_one_noise_whatever_column_was_multiplied() -> None:
    residuals = sealed_factor(np.arange(DEGREE))
    found = set[tuple[int, int]]()
    for column in (
        np.zeros(DEGREE, np.int64),
        np.eye(1, DEGREE, 5, dtype=np.int64)[0],
        np.full(DEGREE, LIMIT),
    ):
        mask = scheme().coefficients(uniform(DEGREE, os.urandom))
        reply = BLINDER.reply([(residuals, factor(column))], mask)
        budget = KEY._decryptor.invariant_noise_budget(open_ciphertext(reply, REPLY))
        found.add((len(reply), budget))
    assert len(found) == 1
    assert found.pop()[1] >= 1


def test_without_blinding_the_noise_would_tell_a_sparse_column_from_a_full_one() -> None:
    """What the blinding is for; if this fails, the test above shows nothing."""
    budgets: list[int] = []
    for column in (np.eye(1, DEGREE, 5, dtype=np.int64)[0], np.full(DEGREE, LIMIT)):
        product = seal.Ciphertext()
        own = factor(column)
        assert own is not None
        scheme().evaluator.multiply_plain(sealed_factor(np.arange(DEGREE)), own, product)
        scheme().evaluator.transform_from_ntt_inplace(product)
        budgets.append(KEY._decryptor.invariant_noise_budget(product))
    assert budgets[0] > budgets[1] + 5


@pytest.mark.parametrize("rows", [1000, 2859, 30_000, 200_000, 300_000])
def test_a_packing_holds_every_row_and_column(rows: int) -> None:
    for pack in (pack_plain, pack_sealed):
        packing = pack(rows, 13)
        assert packing.chunks * packing.chunk >= rows
        assert sum(len(packing.places(group)) for group in range(packing.groups)) == 13


def test_rows_whose_products_could_wrap_round_are_refused() -> None:
    terms = Terms("00" * 32, 300_000, 1, 1)
    largest = split_sigmoid(-1.0, 4, 1.5).largest_residual
    whole = np.full((300_000, 1), 1 << 10)
    check_exact(terms, whole, largest)
    with pytest.raises(JointTrainingError) as refused:
        check_exact(terms, whole * 2, largest)
    assert refused.value.reason is Refusal.NOT_EXACT
