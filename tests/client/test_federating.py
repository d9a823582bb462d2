"""What a bank's client holds to in a federated training, whatever the room tells it."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import MethodType, SimpleNamespace
from typing import cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from saferoom_client import federations
from saferoom_client.federating import taking_part, view
from saferoom_client.federating.folder import FederationFolder, KeptModel
from saferoom_client.federating.view import FederationView, Proposed, check_apart
from saferoom_client.profile import Profile
from saferoom_client.session import Session
from saferoom_client.training.table import TrainingTable
from saferoom_models.horizontal.messages import Kind
from saferoom_models.horizontal.model import Model
from saferoom_models.horizontal.terms import Terms
from saferoom_proto.dsse import Envelope
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    FederationEnd,
    FederationJoin,
    FederationProposal,
    FederationResult,
    Payload,
    load,
    seal_statement,
)
from tests.models.federated import federation, name_of
from tests.server.test_federation_rules import NAMES, NOW, WORLD, join, proposal, said


def profile_in(path: Path) -> Profile:
    faked = SimpleNamespace(
        folder=path,
        signing_key=SigningKey.generate(),
        signing_certificate=b"certificate",
        member=SimpleNamespace(organisation=name_of(0)),
        card=SimpleNamespace(origin=WORLD.room),
    )
    faked.typed = MethodType(Profile.typed, faked)
    return cast("Profile", faked)


def view_of(envelope: Envelope) -> FederationView:
    held = load(envelope, FederationProposal)
    return FederationView(envelope.digest, held, {}, (), (), None, (), "")


def test_a_bank_that_begins_again_sends_what_it_signed_and_nothing_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The room says that it ended, so as to have another set signed for the first round."""
    made = federation()

    def terms_of(_: FederationView) -> Terms:
        return made.terms

    monkeypatch.setattr(taking_part, "terms_of", terms_of)
    shown = view_of(proposal())
    folder = FederationFolder(profile_in(tmp_path), shown.federation)
    key = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
    folder.join(join(0), key)
    made.until(0, Kind.OPENED)
    bank = made.banks[name_of(0)]
    assert bank.masked
    folder.keep_state(bank.save(), masked=bank.masked)
    values, labels = made.rows[name_of(0)]
    names = [column.name for column in made.terms.columns]
    table = SimpleNamespace(
        columns={name: values[:, at].copy() for at, name in enumerate(names)}, labels=labels
    )
    columns = tuple(SimpleNamespace(name=name) for name in names)
    ours = replace(shown, proposal=cast("FederationProposal", SimpleNamespace(columns=columns)))
    again = taking_part.take_up(ours, folder, cast("TrainingTable", table))
    assert again.waiting == bank.waiting
    folder.forget_state()
    with pytest.raises(SafeRoomError) as refused:
        taking_part.take_up(ours, folder, cast("TrainingTable", table))
    assert refused.value.reason is Reason.CONFLICT


async def test_a_word_that_did_not_reach_the_room_is_said_anew_of_that_day_and_with_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The room takes none that is more than a day old; and what stands in the log is not resaid."""
    shown, signed, at = view_of(proposal()), list[Payload](), [NOW]

    def sign(payload: Payload) -> Envelope:
        signed.append(payload)
        return seal_statement(payload, profile.signing_key)

    async def call(*_: object) -> None:
        raise SafeRoomError(Reason.UNAVAILABLE, "nobody answers")

    async def show(*_: object) -> FederationView:
        return shown

    async def apart(*_: object, joining: bool) -> None:
        assert joining

    monkeypatch.setattr(federations, "show_federation", show)
    monkeypatch.setattr(federations, "check_apart", apart)
    profile = profile_in(tmp_path)
    room = SimpleNamespace(JoinFederation=None, ReportFederation=None)
    faked = SimpleNamespace(
        profile=profile, sign=sign, call=call, clock=lambda: at[0], federations=room
    )
    session = cast("Session", faked)
    folder = FederationFolder(profile, shown.federation)
    fitted = cast("Model", SimpleNamespace(rows=1234, rounds=6, converged=True))
    model = KeptModel.model_construct(course="c0" * 32, banks=NAMES, fitted=fitted)

    async def unreached(word: Awaitable[object]) -> None:
        with pytest.raises(SafeRoomError) as refused:
            await word
        assert refused.value.reason is Reason.UNAVAILABLE

    for day in range(2):
        at[0] = NOW + timedelta(days=2 * day)
        await unreached(federations.join_federation(session, "default-12m"))
        await unreached(federations._report(session, folder, shown, model))
    first, told, second, again = signed
    assert isinstance(first, FederationJoin)
    assert isinstance(told, FederationResult)
    assert second == first.model_copy(update={"at": at[0]}), "the same key"
    assert again == told.model_copy(update={"at": at[0]})
    shown = replace(shown, joins={name_of(0): first}, results=(told,))
    assert await federations.join_federation(session, "default-12m") is shown
    await federations._report(session, folder, shown, model)
    assert len(signed) == 4
    folder.keep_state(b"", masked=False)
    shown = replace(shown, joins={})
    with pytest.raises(SafeRoomError) as refused:
        await federations.join_federation(session, "default-12m")
    assert refused.value.reason is Reason.BAD_PROOF


async def test_a_name_of_none_and_one_of_several_are_told_apart_with_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = tuple(
        Proposed(f"sha256:a{at}", load(proposal(), FederationProposal), at) for at in (1, 2)
    )

    async def proposals(_: object) -> tuple[Proposed, ...]:
        return held

    monkeypatch.setattr(view, "_proposals", proposals)
    folder = tmp_path / "our desk"
    session = cast("Session", SimpleNamespace(profile=profile_in(folder)))

    async def refused(named: str) -> SafeRoomError:
        with pytest.raises(SafeRoomError) as error:
            await view.find_federation(session, named)
        assert error.value.__notes__ == [f"saferoom federation list -p '{folder}'"]
        return error.value

    assert await view.find_federation(session, "a1") == "sha256:a1"
    assert (await refused("nope")).detail == "nope names no federation of yours"
    assert "names 2 federations of yours: give more" in (await refused("a")).detail


async def test_a_federation_that_cannot_be_verified_hides_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    good, bad = view_of(proposal()), view_of(proposal({"name": "bad"}))

    async def listed(_: Session) -> tuple[Proposed, ...]:
        return tuple(Proposed(each.federation, each.proposal, 1) for each in (bad, good))

    async def get(_: Session, federation: str) -> FederationView:
        if federation == bad.federation:
            raise SafeRoomError(Reason.BAD_SIGNATURE, "signed by another institution's member")
        return good

    monkeypatch.setattr(view, "_proposals", listed)
    monkeypatch.setattr(view, "get_federation", get)
    session, told = cast("Session", None), list[str]()
    found = await view.list_federations(session, skipped=lambda name, _: told.append(name))
    assert (found, told) == ((good,), [bad.federation])
    with pytest.raises(SafeRoomError):
        await view.list_federations(session)


async def test_what_a_member_knows_of_itself_counts_beside_what_the_room_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = proposal({"banks": (*NAMES, "bank-d"), "name": "wide"})
    other, shown = view_of(wide), view_of(proposal())
    profile = profile_in(tmp_path)
    session = cast("Session", SimpleNamespace(profile=profile))
    mine = FederationFolder(profile, other.federation)

    async def listed(_: Session) -> tuple[Proposed, ...]:
        return (Proposed(other.federation, other.proposal, 1),)

    async def get(_: Session, federation: str) -> FederationView:
        assert federation == other.federation
        return other

    async def apart(*, joining: bool) -> bool:
        try:
            await check_apart(session, shown, joining=joining)
        except SafeRoomError as refused:
            assert refused.reason is Reason.CONFLICT
            assert "bank-d" in refused.fields[0].rule
            return False
        return True

    monkeypatch.setattr(view, "_proposals", listed)
    monkeypatch.setattr(view, "get_federation", get)
    assert await apart(joining=True)
    mine.join(join(0), Ed25519PrivateKey.generate())
    assert not await apart(joining=True), "both would be joined before either is trained"
    assert await apart(joining=False)
    mine.keep_state(b"", masked=False)
    assert not await apart(joining=False), "the other has begun here"
    end = FederationEnd.model_validate(said(1, why="no", federation=other.federation))
    other = replace(other, ends=(end,))
    assert await apart(joining=True)
    assert await apart(joining=False)
    mine.keep_state(b"", masked=True)
    mine.forget_state()
    assert not await apart(joining=True), "its numbers were sent, whatever the room tells"
    assert not await apart(joining=False)
