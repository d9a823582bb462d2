"""A member is named anew: fresh keys, and everything that it pinned and saw before."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from saferoom_client.issuer import Issuer, renew_member
from saferoom_client.profile import SIGNING_KEY, TLS_KEY, Profile
from saferoom_client.seen_log import LOG
from saferoom_client.session import utc_now
from saferoom_proto.checkpoint import sign_checkpoint
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.trust import FormerKey
from tests.client.fakeroom import Said, serving
from tests.client.made import make_profile


@pytest.fixture
async def member(said: Said, issuer: Issuer, tmp_path: Path) -> Profile:
    async with serving(said, issuer) as card:
        return make_profile(tmp_path / "bank", said.case, issuer, card)


def test_all_that_it_pinned_goes_along_and_no_key_is_read(
    member: Profile, said: Said, issuer: Issuer, tmp_path: Path
) -> None:
    former = FormerKey(key=member.signing_key.verify_key.public, size=7)
    trust = member.trust.model_copy(update={"former_ledger_keys": (former,)})
    (member.folder / "trust.json").write_text(trust.model_dump_json())
    member.log.keep(sign_checkpoint(said.case.world.ledger.checkpoint(), member.signing_key))
    public = tmp_path / "public"
    shutil.copytree(member.folder, public, ignore=shutil.ignore_patterns(SIGNING_KEY, TLS_KEY))
    renewed = renew_member(issuer, public, tmp_path / "next", utc_now())
    again = Profile.load(tmp_path / "next")
    assert (again.trust, again.card, again.member) == (trust, member.card, member.member)
    assert (tmp_path / "next" / LOG).read_bytes() == (member.folder / LOG).read_bytes()
    assert renewed.signing_key.verify_key != member.signing_key.verify_key
    assert renewed.tls_key != member.tls_key


def test_nothing_is_written_over(member: Profile, issuer: Issuer) -> None:
    with pytest.raises(SafeRoomError) as refused:
        renew_member(issuer, member.folder, member.folder, utc_now())
    assert refused.value.reason is Reason.BAD_CONFIG
    assert Profile.load(member.folder).signing_key.verify_key == member.signing_key.verify_key
