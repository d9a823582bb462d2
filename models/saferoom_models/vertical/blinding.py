"""What the room sends back, blinded: the key's owner too reads the masked numbers and no more.

A product Enc(d)·x with every coefficient masked still gives x away: the key's owner divides the
reply's second polynomial by the one it sent (measured: all of 8192 values from one reply), and the
noise tells more. So each reply, in this order:

1. leaves NTT form;
2. gets a fresh encryption of zero under the public key: its second polynomial is now pseudorandom;
3. gets the mask;
4. is switched down to the last prime: 120 bits fall away, and with them the noise that depends on
   the data, unless it crosses a rounding boundary: at most 2^-59 for a coefficient
   (`docs/joint-training.md`).

Step 2 assumes an honestly made public key.
"""

from __future__ import annotations

from collections.abc import Iterable

from tenseal import sealapi as seal

from saferoom_models.vertical.scheme import scheme, to_bytes

Term = tuple[seal.Ciphertext, seal.Plaintext | None]
"""A ciphertext in NTT form and its factor; None stands for a factor that is zero everywhere."""


class Blinder:
    """Makes replies under the other side's public key."""

    def __init__(self, public_key: seal.PublicKey) -> None:
        self._scheme = scheme()
        self._encryptor = seal.Encryptor(self._scheme.context, public_key)

    def _zero(self) -> seal.Ciphertext:
        zero = seal.Ciphertext()
        self._encryptor.encrypt_zero(zero)
        return zero

    def reply(self, terms: Iterable[Term], mask: seal.Plaintext) -> bytes:
        """Add up products and give the sum, blinded.

        SEAL refuses to multiply by a plaintext of zeros, so such a term is left out; if none is
        left, the reply is an encryption of zero: its shape never depends on the data.
        """
        evaluator = self._scheme.evaluator
        total: seal.Ciphertext | None = None
        for ciphertext, factor in terms:
            if factor is None:
                continue
            product = seal.Ciphertext()
            evaluator.multiply_plain(ciphertext, factor, product)
            if total is None:
                total = product
            else:
                evaluator.add_inplace(total, product)
        if total is None:
            total = self._zero()
        else:
            evaluator.transform_from_ntt_inplace(total)
        evaluator.add_inplace(total, self._zero())
        evaluator.add_plain_inplace(total, mask)
        switched = seal.Ciphertext()
        evaluator.mod_switch_to(total, self._scheme.last, switched)
        return to_bytes(switched)
