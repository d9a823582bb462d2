"""A key agent's keys on a PKCS #11 token, with SoftHSM: none leaves it; its faults are named."""

from __future__ import annotations

import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from saferoom_client.agent import token
from saferoom_client.agent.folder import POLICY, STATE, KeyAgent, Policy
from saferoom_client.agent.policy import appraise, release_keys
from saferoom_client.agent.rotation import (
    change_store_key,
    prepare_agent_keys,
    retire_store_key,
    under,
)
from saferoom_client.agent.slots import Slot
from saferoom_client.agent.token_uri import TokenUri
from saferoom_proto import chain
from saferoom_proto.encoding import b64, parse_object
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.recovery import keys_info
from saferoom_proto.statements import ChainLink, KeyChange
from saferoom_proto.store_key import name_of
from saferoom_proto.verification import verify_endorsement
from tests.client.agents import NONCE, OTHER, SOFTWARE, Scene
from tests.client.tokens import IS_THERE, MISSING, MODULE, PIN, Tokens

pkcs11 = pytest.importorskip("pkcs11", reason="python-pkcs11 is not installed")
pytestmark = pytest.mark.skipif(not IS_THERE, reason=MISSING)


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Generator[Tokens]:
    with pytest.MonkeyPatch.context() as patch:
        yield Tokens(tmp_path_factory.mktemp("hsm"), patch)


class TokenScene(Scene):
    """An owner whose key agent's keys are on a token."""

    def __init__(self, folder: Path, uri: str) -> None:
        super().__init__(folder / "files")
        policy = self.policy.model_copy(update={"token": uri})
        self.agent = KeyAgent.create(folder / "agent", policy)
        card = self.agent.card
        self.owner.adopt(key_agent=card.key_agent, pairing=card.pairing)

    def released(self) -> dict[str, object]:
        """Have the agent endorse the enclave and release its keys; give what it sealed."""
        self.agent = under(KeyAgent.load(self.agent.folder), self.charter)
        accepted = appraise(self.agent, self.claims(), SOFTWARE, NONCE, self.charter)
        release = release_keys(self.agent, accepted, self.world.now())
        verify_endorsement(release.endorsement, self.owner.charter, self.world.now())
        info = keys_info(release.endorsement.digest)
        return parse_object(self.sealing.open(release.sealed_keys, info=info))


@pytest.fixture
def label(request: pytest.FixtureRequest) -> str:
    return str(abs(hash(request.node.name)))[:16]


@pytest.fixture
def scene(tmp_path: Path, tokens: Tokens, label: str) -> TokenScene:
    return TokenScene(tmp_path, tokens.make(label))


def refused(attempt: object) -> tuple[Reason, str]:
    assert callable(attempt)
    with pytest.raises(SafeRoomError) as caught:
        attempt()
    assert PIN not in str(caught.value)
    return caught.value.reason, caught.value.detail


def test_it_endorses_and_releases_as_one_with_files_does(scene: TokenScene) -> None:
    keys = scene.released()
    assert keys == {
        "store_key": b64(scene.agent.store_key),
        "pairing_key": b64(scene.agent.pairing_key),
    }
    assert KeyAgent.load(scene.agent.folder).store_key == scene.agent.store_key
    assert scene.agent.store_key != scene.agent.pairing_key


def test_no_key_lies_in_its_folder_nor_leaves_the_token(scene: TokenScene, label: str) -> None:
    folder = scene.agent.folder
    names = {path.name for path in folder.iterdir()}
    assert names == {POLICY, STATE, "agent-card.json", "token.json"}
    held = b"".join(path.read_bytes() for path in folder.iterdir())
    for key in (scene.agent.store_key, scene.agent.pairing_key):
        assert key not in held
        assert key.hex().encode() not in held
        assert b64(key).encode() not in held
    with pkcs11.lib(MODULE).get_token(token_label=label).open(user_pin=PIN) as session:
        guarded = [
            each
            for each in session.get_objects()
            if each.object_class in {pkcs11.ObjectClass.SECRET_KEY, pkcs11.ObjectClass.PRIVATE_KEY}
        ]
        assert len(guarded) == 3
        for each in guarded:
            assert each[pkcs11.Attribute.SENSITIVE]
            assert not each[pkcs11.Attribute.EXTRACTABLE]
            assert each[pkcs11.Attribute.NEVER_EXTRACTABLE]
            with pytest.raises(pkcs11.exceptions.AttributeSensitive):
                _ = each[pkcs11.Attribute.VALUE]
    with pytest.raises(SafeRoomError, match="cannot be read"):
        scene.agent.signing.to_pem()


def test_its_store_key_and_its_own_keys_are_changed_in_the_token(
    scene: TokenScene, label: str
) -> None:
    former = scene.agent.store_key
    changed = change_store_key(scene.agent)
    assert changed.earlier_key == former
    assert scene.released()["earlier_store_key"] == b64(former)
    word = KeyChange(
        room=scene.world.room,
        owner="tax",
        endorsement=OTHER,
        store_key=name_of(changed.store_key),
        previous=name_of(former),
        from_epoch=2,
        chain=ChainLink(index=0, previous=chain.GENESIS),
        time=scene.world.now(),
    )
    retire_store_key(changed, word)
    assert "earlier_store_key" not in scene.released()
    card = prepare_agent_keys(scene.agent)
    scene.owner.adopt(key_agent=card.key_agent, pairing=card.pairing)
    scene.released()
    assert scene.agent.card == card
    with pkcs11.lib(MODULE).get_token(token_label=label).open(user_pin=PIN) as session:
        secrets = list(session.get_objects({pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY}))
    assert len(secrets) == len({Slot.STORE, Slot.PAIRING})  # none that was replaced is left


def test_a_wrong_pin_is_named_and_not_tried_until_the_token_locks(
    scene: TokenScene, tokens: Tokens, label: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens.pin_file(label).write_text("000000")
    opened: list[str] = []
    real = pkcs11.lib

    def counting(path: str) -> object:
        opened.append(path)
        return real(path)

    monkeypatch.setattr(pkcs11, "lib", counting)
    for _ in range(5):
        reason, detail = refused(lambda: KeyAgent.load(scene.agent.folder))
        assert reason is Reason.BAD_CONFIG
        assert detail.startswith(f"the token {label} refuses the PIN in {tokens.pin_file(label)}")
    assert len(opened) == 1
    tokens.pin_file(label).write_text(PIN)
    assert scene.released()


def test_two_agents_do_not_share_a_tokens_keys(scene: TokenScene, tmp_path: Path) -> None:
    before = scene.released()
    policy = scene.policy.model_copy(update={"token": scene.agent.policy.token})
    reason, detail = refused(lambda: KeyAgent.create(tmp_path / "another", policy))
    assert reason is Reason.BAD_CONFIG
    assert "Choose another object=" in detail
    assert scene.released() == before


def test_a_token_that_is_not_there_is_named(scene: TokenScene, tmp_path: Path) -> None:
    uri = str(scene.agent.policy.token)
    other = uri.replace("token=", "token=another-")
    policy = scene.policy.model_copy(update={"token": other})
    reason, detail = refused(lambda: KeyAgent.create(tmp_path / "another", policy))
    assert reason is Reason.UNAVAILABLE
    assert "no token another-" in detail
    assert not (tmp_path / "another" / POLICY).exists()


def test_a_token_taken_out_is_named_and_put_back_is_found_again(
    scene: TokenScene, tokens: Tokens, label: str, tmp_path: Path
) -> None:
    assert scene.released()
    away = tmp_path / "away"
    tokens.folder.rename(away)
    tokens.folder.mkdir()
    reason, detail = refused(scene.released)
    assert (reason, detail.partition(";")[0]) == (Reason.UNAVAILABLE, f"no token {label} is there")
    tokens.folder.rmdir()
    away.rename(tokens.folder)
    assert scene.released()


def test_a_module_that_is_not_there_is_named(scene: TokenScene, tmp_path: Path) -> None:
    uri = str(scene.agent.policy.token).replace(MODULE, "/nowhere/libtoken.so")
    policy = scene.policy.model_copy(update={"token": uri})
    reason, detail = refused(lambda: KeyAgent.create(tmp_path / "another", policy))
    assert reason is Reason.UNAVAILABLE
    assert "/nowhere/libtoken.so" in detail or "token" in detail


def test_a_pin_that_others_may_read_is_refused(
    scene: TokenScene, tokens: Tokens, label: str
) -> None:
    tokens.pin_file(label).chmod(0o644)
    reason, detail = refused(lambda: KeyAgent.load(scene.agent.folder))
    assert reason is Reason.BAD_CONFIG
    assert str(tokens.pin_file(label)) in detail


def test_without_the_library_it_says_what_to_install(
    scene: TokenScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    reason, detail = refused(lambda: KeyAgent.load(scene.agent.folder))
    assert reason is Reason.NOT_INSTALLED
    assert "saferoom[pkcs11]" in detail


@pytest.mark.parametrize(
    ("uri", "rule"),
    [
        ("softhsm", "it is written pkcs11:"),
        ("pkcs11:token=a?module-path=/m&pin-source=file:/p", "object is missing"),
        ("pkcs11:token=a;object=b?pin-source=file:/p", "module-path is missing"),
        ("pkcs11:token=a;object=b?module-path=/m", "pin-source is missing"),
        ("pkcs11:token=a;object=b?module-path=m&pin-source=/p", "module-path is an absolute path"),
        ("pkcs11:token=a;object=b?module-path=/m&pin-value=1234", "a PIN does not stand in"),
        ("pkcs11:token=a;object=b;type=private?module-path=/m&pin-source=/p", "type is not taken"),
        ("pkcs11:token=a;token=b;object=c?module-path=/m&pin-source=/p", "token is not taken"),
    ],
)
def test_a_uri_that_is_not_whole_is_refused_by_its_rule(uri: str, rule: str) -> None:
    reason, detail = refused(lambda: TokenUri.parse(uri))
    assert reason is Reason.BAD_CONFIG
    assert rule in detail
    assert "1234" not in detail


def test_a_uri_is_read_with_its_percent_encoding() -> None:
    text = "pkcs11:token=Tax%20office;serial=0a;object=a?module-path=/m.so&pin-source=file:/p"
    read = TokenUri.parse(text)
    assert (read.token, read.serial, read.module) == ("Tax office", "0a", Path("/m.so"))
    assert token.NUMBERS == "token.json"


def test_a_policy_from_before_has_its_keys_in_files(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "agent")
    document = (scene.agent.folder / POLICY).read_text()
    assert '"token": null' in document
    (scene.agent.folder / POLICY).write_text(document.replace(',\n "token": null', ""))
    assert KeyAgent.load(scene.agent.folder).policy == Policy.model_validate(dict(scene.policy))
