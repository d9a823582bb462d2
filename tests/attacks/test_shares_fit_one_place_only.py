"""Shares of a private conjunction tell nothing when they are mixed, moved, or asked for again."""

from __future__ import annotations

import hmac
import shutil
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from saferoom_enclaves.pairing import Hiding, Pairing, ShareContext
from saferoom_proto.answer import Truth, combine
from saferoom_proto.certificate import ReleaseCertificate
from saferoom_proto.encoding import b64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.shares import MODULUS, Share, all_hold
from saferoom_proto.statements import load, seal_statement
from saferoom_proto.suite import Suite
from simulator import World
from simulator.conjoined import Conjoined, conjoined

REQUEST, OTHER = "sha256:" + "1" * 64, "sha256:" + "2" * 64
NAMES = ("court", "tax", "water")


def agreed(world: World, *names: str) -> dict[str, Hiding]:
    """Let owners agree with each other, as their enclaves do."""
    owners = [world.owner(name) for name in names or NAMES]
    return {
        one.name: Pairing(one.pairing.private_bytes_raw()).hiding(
            one.charter, {other.name: other.charter for other in owners if other is not one}
        )
        for one in owners
    }


@pytest.fixture(scope="module")
def hidings() -> dict[str, Hiding]:
    return agreed(World())


def shares(hidings: dict[str, Hiding], place: bytes, *, holds: bool = True) -> list[Share]:
    return [hiding.share(holds, place) for hiding in hidings.values()]


@pytest.mark.parametrize("suite", Suite)
@pytest.mark.parametrize("count", [2, 3])
def test_only_all_parts_that_hold_add_up(suite: Suite, count: int) -> None:
    hidings = agreed(World(suite=suite), *NAMES[:count])
    place = ShareContext(REQUEST).of_row()
    for parts in product([True, False], repeat=count):
        given = [
            each.share(part, place) for each, part in zip(hidings.values(), parts, strict=True)
        ]
        assert all_hold(given) is all(parts)
        for left_out in range(count):
            assert not all_hold(given[:left_out] + given[left_out + 1 :])


@pytest.mark.parametrize(
    "moved",
    [
        ShareContext(OTHER).of_row(),
        ShareContext(REQUEST).of_row(1),
        ShareContext(REQUEST).of_row(0, b"1" * 20),
        ShareContext(REQUEST, output=1).of_row(),
    ],
    ids=["another request", "another row", "another firm's row", "another output"],
)
def test_a_share_of_another_place_adds_up_to_nothing(
    hidings: dict[str, Hiding], moved: bytes
) -> None:
    mine, theirs = shares(hidings, ShareContext(REQUEST).of_row()), shares(hidings, moved)
    assert all_hold(mine)
    assert all_hold(theirs)
    assert not set(mine) & set(theirs)
    for at in range(len(mine)):
        assert not all_hold([*mine[:at], theirs[at], *mine[at + 1 :]])


def test_the_same_place_gives_the_same_share_and_no_other_one(hidings: dict[str, Hiding]) -> None:
    """Asked for anew, a share differs only if the part does: it is no second equation."""
    again, place = agreed(World()), ShareContext(REQUEST).of_row()
    for holds in (True, False):
        assert shares(again, place, holds=holds) == shares(hidings, place, holds=holds)


def test_two_that_share_their_secrets_see_what_the_third_says_and_one_sees_nothing(
    hidings: dict[str, Hiding],
) -> None:
    """The bound is two honest enclaves; SECURITY.md says so."""
    place = ShareContext(REQUEST).of_row()
    court, tax, water = hidings["court"], hidings["tax"], hidings["water"]
    between = {key for _, key in court.between} & {key for _, key in tax.between}
    assert len(between) == 1  # what one of them knows of the other's pair: none of it
    assert not between & {key for _, key in water.between}
    for holds in (True, False):
        known = Hiding(
            court.suite, bytes(32), tuple((not later, key) for later, key in water.between)
        )
        own = court.share(holds, place).value + tax.share(holds, place).value
        # Court and tax give all their secrets away: water's share, laid open, is 0 or is not.
        zero = known.share(True, place).value
        laid_open = (water.share(holds, place).value + zero) % MODULUS
        assert (laid_open == 0) is holds
        # Of court's secrets alone none is between tax and water.
        assert own % MODULUS != 0


@pytest.mark.parametrize("holds", [True, False])
def test_another_implementation_gives_the_same_share(
    hidings: dict[str, Hiding], holds: bool
) -> None:
    """Enclaves of several versions answer one question: what they hash is a contract."""
    world, place = World(), ShareContext(REQUEST).of_row(3, b"r" * 20)
    tax, court = world.owner("tax"), world.owner("court")

    def number(secret: bytes, info: str) -> int:
        key = HKDF(SHA256(), 32, None, info.encode()).derive(secret)
        stood = b"saferoom conjunction place v1\n" + bytes.fromhex("11" * 32)
        stood += bytes([0, 0, 0, 3]) + b"r" * 20 + bytes(2)
        assert stood == place
        return int.from_bytes(hmac.digest(key, stood, "sha256"), "big")

    own = number(
        tax.pairing.private_bytes_raw(), f"saferoom conjunction own v1\n{world.room}\ntax\n"
    )
    between = number(
        tax.pairing.exchange(court.pairing.public_key()),
        f"saferoom conjunction between v1\n{world.room}\ncourt\n{court.charter.digest}"
        f"\ntax\n{tax.charter.digest}\nffffffffffffffffffffffffffffff61",
    )
    share = agreed(world, "tax", "court")["tax"].share(holds, place)
    assert share.value == (own * (not holds) - between) % ((1 << 128) - 159)


@pytest.mark.parametrize("holds", [True, False])
def test_a_share_alone_is_spread_over_the_whole_range(
    hidings: dict[str, Hiding], holds: bool
) -> None:
    places = [ShareContext(REQUEST).of_row(index) for index in range(2000)]
    for hiding in hidings.values():
        given = [hiding.share(holds, place).value for place in places]
        eighths = [sum(8 * each // MODULUS == at for each in given) for at in range(8)]
        # Chi-squared with 7 degrees of freedom; fixed keys, so this cannot change by chance.
        assert sum((each - 250) ** 2 / 250 for each in eighths) < 30


def test_another_charter_of_a_peer_agrees_on_another_number() -> None:
    world = World()
    before = agreed(world)
    water = world.owner("water")
    water.adopt()
    after = agreed(world)
    place = ShareContext(REQUEST).of_row()
    mixed = [before["court"], before["tax"], after["water"]]
    assert not all_hold(each.share(True, place) for each in mixed)


def test_a_pairing_key_that_agrees_with_everybody_is_refused() -> None:
    world = World()
    tax, water = world.owner("tax"), world.owner("water", pairing=b64(bytes(32)))
    with pytest.raises(SafeRoomError) as refused:
        Pairing(tax.pairing.private_bytes_raw()).hiding(tax.charter, {"water": water.charter})
    assert refused.value.reason is Reason.CERTIFICATE_MISMATCH


def test_a_pairing_key_that_is_not_the_charters_hides_nothing() -> None:
    tax = World().owner("tax")
    other = X25519PrivateKey.generate().private_bytes_raw()
    with pytest.raises(SafeRoomError) as refused:
        Pairing(other).hiding(tax.charter, {})
    assert refused.value.reason is Reason.INTERNAL


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Conjoined]:
    made = conjoined(tmp_path)
    yield made
    made.close()


def test_a_charter_with_another_pairing_key_needs_fresh_approval(room: Conjoined) -> None:
    assert room.whole(room.question(1)) is Truth.YES
    water = room.water
    water.pairing = X25519PrivateKey.generate()
    charter = water.adopt()
    room.room.world.publish(charter, "tax", "court")  # as the server brings it to its peers
    room.enclaves["water"].restart()
    room.enclaves["tax"].follow()
    room.enclaves["court"].follow()
    told = room.ask(room.question(1))
    # Nobody gives a share under the old approvals: neither the owner itself nor its peers.
    assert {verdict.reason for verdict in told.values()} == {Reason.CERTIFICATE_MISMATCH}
    fresh = room.conjunction("sound-again")
    assert room.whole(room.question(1, asked=fresh)) is Truth.YES
    assert room.whole(room.question(2, asked=fresh)) is Truth.NO


def test_a_certificate_that_names_the_servers_own_key_for_a_peer_is_not_approved(
    room: Conjoined,
) -> None:
    """A server that pairs with an enclave in another owner's name could lay its part open."""
    world, bank = room.room.world, room.room.bank
    forged = World("forged").owner("water", room=world.room)
    statement = forged.charters[0]
    certificate = load(room.sound.certificate, ReleaseCertificate)
    parts = tuple(
        part.model_copy(update={"charter": statement.digest}) if part.owner == "water" else part
        for part in certificate.parts
    )
    lie = seal_statement(certificate.model_copy(update={"parts": parts}), bank.key)
    world.publish(statement)
    world.publish(lie)
    room.follow()
    question = bank.request(world.subject(1), room.sound.template, lie.digest, {"min_vat": "50000"})
    told = room.enclaves["tax"].ask(question)
    assert (told.reason, told.share) == (Reason.NOT_APPROVED, None)
    # Nor does the forged charter take the place of the one that was approved.
    assert room.whole(room.question(1)) is Truth.YES


def test_an_enclave_put_back_to_an_older_copy_gives_the_share_it_gave(
    room: Conjoined, tmp_path: Path
) -> None:
    question, enclave = room.question(2), room.enclaves["court"]
    copy = shutil.copytree(enclave.folder, tmp_path / "older")
    given = room.shares(question)
    enclave.put_back(copy)
    enclave.unlock()
    enclave.follow()
    again = enclave.ask(question).share
    assert again == given["court"]
    assert combine([*given.values()]) is Truth.NO
