"""A key agent's keys on a PKCS #11 token: a smart card, an HSM, SoftHSM.

The token holds one secret for each of the agent's released keys and one Ed25519 key pair for each
that signs, all made in it, sensitive and not extractable. A released key is HMAC-SHA256 of its
purpose under its secret, computed in the token: that is what the enclave is sealed, and it lies
nowhere. Endorsements are signed in the token.

Source: PKCS #11 v3.1, CKM_SHA256_HMAC and CKM_EDDSA; the curve's name as its section 6.3 has it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import Field

from saferoom_client.agent.slots import SIGNING, Slot
from saferoom_client.agent.token_uri import TokenUri
from saferoom_client.files import bad_file, read_model, read_private, write_model
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.base import Part

if TYPE_CHECKING:
    import pkcs11
    from pkcs11.types import SignMixin

NUMBERS: Final = "token.json"
_EDWARDS25519: Final = b"\x13\x0cedwards25519"  # PrintableString, as the token's parameter
_POINT: Final = b"\x04\x20"  # OCTET STRING of 32 bytes
_PURPOSE: Final = "saferoom key agent v1 {name}"
_SECRET_BITS: Final = 256

_refused_pins: Final[set[tuple[str, bytes]]] = set()
"""PINs that a token refused: tried again and again, as a room asks, they would lock it."""


class _Numbers(Part):
    """Which key pair or secret of the token each slot holds, by its number."""

    slots: dict[Slot, Annotated[int, Field(ge=1)]] = Field(default_factory=dict[Slot, int])
    last: Annotated[int, Field(ge=0)] = 0


class TokenKeys:
    """Keys on a token. The agent's folder holds their numbers.

    Args:
        folder: the agent's.
        uri: where the token is.
    """

    def __init__(self, folder: Path, uri: str) -> None:
        self._file: Final = folder / NUMBERS
        self._uri: Final = TokenUri.parse(uri)

    def has(self, slot: Slot) -> bool:
        """Tell whether there is a key in a slot."""
        return slot in self._numbers().slots

    def secret(self, slot: Slot) -> bytes:
        """Have the token compute a key that is released.

        Raises:
            SafeRoomError: `BAD_CONFIG` for a wrong PIN; `UNAVAILABLE` without the token.
        """
        label = self._label(slot)
        with self._session() as session:
            from pkcs11 import Mechanism, ObjectClass  # noqa: PLC0415 - an extra

            key = cast("SignMixin", session.get_key(ObjectClass.SECRET_KEY, label=label))
            purpose = _PURPOSE.format(name=label).encode()
            return key.sign(purpose, mechanism=Mechanism.SHA256_HMAC)

    def signing(self, slot: Slot) -> SigningKey:
        """Give a key that signs in the token."""
        label = self._label(slot)
        with self._session() as session:
            from pkcs11 import Attribute, ObjectClass  # noqa: PLC0415

            public = session.get_key(ObjectClass.PUBLIC_KEY, label=label)
            point = cast("bytes", public[Attribute.EC_POINT]).removeprefix(_POINT)
        return SigningKey(_InToken(self, label, Ed25519PublicKey.from_public_bytes(point)))

    def sign(self, label: str, data: bytes) -> bytes:
        """Have the token sign."""
        with self._session() as session:
            from pkcs11 import Mechanism, ObjectClass  # noqa: PLC0415

            key = cast("SignMixin", session.get_key(ObjectClass.PRIVATE_KEY, label=label))
            return key.sign(data, mechanism=Mechanism.EDDSA)

    def make(self, slot: Slot) -> None:
        """Have the token make a key: it never leaves it."""
        numbers = self._numbers()
        number = numbers.last + 1
        # Noted first: a number is not used twice, whatever the token made of it.
        self._keep(_Numbers(slots=numbers.slots, last=number))
        label = self._named(number)
        with self._session(writes=True) as session:
            if list(_named(session, label)):
                detail = f"the token {self._uri.token} has a key {label} already: another agent's?"
                raise SafeRoomError(
                    Reason.BAD_CONFIG, f"{detail} Choose another object= in its URI"
                )
            _make(session, label, signs=slot in SIGNING)
        self._keep(_Numbers(slots={**numbers.slots, slot: number}, last=number))

    def copy(self, source: Slot, target: Slot) -> None:
        """Have two slots mean one key."""
        numbers = self._numbers()
        self._keep(
            _Numbers(slots={**numbers.slots, target: numbers.slots[source]}, last=numbers.last)
        )

    def move(self, source: Slot, target: Slot) -> None:
        """Have another slot mean a key; what it meant before is destroyed."""
        numbers = self._numbers()
        slots = {**numbers.slots, target: numbers.slots[source]}
        del slots[source]
        self._keep(_Numbers(slots=slots, last=numbers.last))
        self._destroy(numbers.slots.get(target), slots)

    def drop(self, slot: Slot) -> None:
        """Destroy a slot's key in the token, unless another slot means it too."""
        numbers = self._numbers()
        slots = {each: number for each, number in numbers.slots.items() if each is not slot}
        self._keep(_Numbers(slots=slots, last=numbers.last))
        self._destroy(numbers.slots.get(slot), slots)

    def _destroy(self, number: int | None, slots: Mapping[Slot, int]) -> None:
        if number is None or number in slots.values():
            return
        with self._session(writes=True) as session:
            for found in _named(session, self._named(number)):
                found.destroy()

    def _label(self, slot: Slot) -> str:
        number = self._numbers().slots.get(slot)
        if number is None:
            raise bad_file(self._file, f"it names no key for {slot}")
        return self._named(number)

    def _named(self, number: int) -> str:
        return f"{self._uri.object}-{number}"

    def _numbers(self) -> _Numbers:
        return read_model(self._file, _Numbers) if self._file.exists() else _Numbers()

    def _keep(self, numbers: _Numbers) -> None:
        write_model(self._file, numbers)

    @contextmanager
    def _session(self, *, writes: bool = False) -> Generator[pkcs11.Session]:
        """Open a session for one step: a token that is taken out and put back is found again."""
        try:
            from pkcs11 import exceptions  # noqa: PLC0415
        except ImportError as error:
            detail = "keys on a token need saferoom[pkcs11]"
            raise SafeRoomError(Reason.NOT_INSTALLED, detail) from error
        uri, pin = self._uri, self._pin()
        tried = (f"{uri.module} {uri.token}", hashlib.sha256(pin.encode()).digest())
        if tried in _refused_pins:
            raise _wrong_pin(uri)
        try:
            with _opened(uri, pin, writes=writes) as session:
                yield session
        except exceptions.PinIncorrect:
            _refused_pins.add(tried)
            raise _wrong_pin(uri) from None
        except exceptions.PinLocked:
            detail = f"the token {uri.token} is locked: its security officer unlocks it"
            raise SafeRoomError(Reason.BAD_CONFIG, detail) from None
        except exceptions.NoSuchToken:
            detail = f"no token {uri.token} is there; put it in, or start its reader"
            raise SafeRoomError(Reason.UNAVAILABLE, detail) from None
        except exceptions.NoSuchKey:
            detail = f"the token {uri.token} has no such key of {uri.object}"
            raise SafeRoomError(Reason.BAD_CONFIG, detail) from None
        except exceptions.PKCS11Error as error:
            detail = f"the token {uri.token} does not answer: {type(error).__name__} {error}"
            raise SafeRoomError(Reason.UNAVAILABLE, detail.strip()) from None

    def _pin(self) -> str:
        pin = read_private(self._uri.pin_file).decode("utf-8", "replace").strip()
        if not pin:
            raise bad_file(self._uri.pin_file, "it holds no PIN")
        return pin


class _InToken(Ed25519PrivateKey):
    """An Ed25519 key that signs in a token, and of which there is nothing else here."""

    def __init__(self, keys: TokenKeys, label: str, public: Ed25519PublicKey) -> None:
        self._keys: Final = keys
        self._label: Final = label
        self._public: Final = public

    def public_key(self) -> Ed25519PublicKey:
        return self._public

    def sign(self, data: object) -> bytes:
        return self._keys.sign(self._label, bytes(cast("bytes", data)))

    def private_bytes(
        self,
        encoding: object,
        format: object,  # noqa: A002 - the base's own name
        encryption_algorithm: object,
    ) -> bytes:
        del encoding, format, encryption_algorithm
        raise SafeRoomError(Reason.BAD_CONFIG, "a key on a token cannot be read")

    def private_bytes_raw(self) -> bytes:
        raise SafeRoomError(Reason.BAD_CONFIG, "a key on a token cannot be read")

    def __copy__(self) -> _InToken:
        return self

    def __deepcopy__(self, _: object) -> _InToken:
        return self


def _opened(uri: TokenUri, pin: str, *, writes: bool) -> pkcs11.Session:
    """Open a session; if the token is not seen, look for it anew: modules look only once."""
    import pkcs11  # noqa: PLC0415
    from pkcs11 import exceptions  # noqa: PLC0415

    serial = {"token_serial": uri.serial.encode()} if uri.serial else {}
    library = pkcs11.lib(str(uri.module))
    try:
        token = library.get_token(token_label=uri.token, **serial)
    except exceptions.PKCS11Error:
        library.reinitialize()
        token = library.get_token(token_label=uri.token, **serial)
    return token.open(rw=writes, user_pin=pin)


def _named(session: pkcs11.Session, label: str) -> Iterable[pkcs11.Object]:
    from pkcs11 import Attribute  # noqa: PLC0415

    return session.get_objects({Attribute.LABEL: label})


def _make(session: pkcs11.Session, label: str, *, signs: bool) -> None:
    from pkcs11 import Attribute, KeyType, Mechanism  # noqa: PLC0415

    guarded = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False, Attribute.SIGN: True}
    if not signs:
        session.generate_key(
            KeyType.GENERIC_SECRET, _SECRET_BITS, label=label, store=True, template=guarded
        )
        return
    parameters = session.create_domain_parameters(
        KeyType.EC_EDWARDS, {Attribute.EC_PARAMS: _EDWARDS25519}, local=True
    )
    parameters.generate_keypair(
        mechanism=Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
        label=label,
        store=True,
        private_template=guarded,
    )


def _wrong_pin(uri: TokenUri) -> SafeRoomError:
    detail = f"the token {uri.token} refuses the PIN in {uri.pin_file}; it is not tried again"
    return SafeRoomError(Reason.BAD_CONFIG, detail)
