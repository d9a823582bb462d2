"""A member's folder: it round-trips, its keys stay its own, and faults name file and rule."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from saferoom_client.files import write_file
from saferoom_client.issuer import Issuer, enrol_member
from saferoom_client.profile import Member, Profile, RoomCard
from saferoom_client.session import utc_now
from saferoom_proto.identity import IdentityKind, read_identity, verify_identity
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.uscc import make_uscc
from saferoom_proto.verification import verify_certificate_revocation
from tests.client.fakeroom import made_server_identity
from tests.client.made import make_case

KEYS = ("tls.key", "signing.key")
FILES = ("room.json", "identity.json", "trust.json", "tls.pem", "signing.pem", *KEYS)
ANNA = Member(organisation="bank", name="anna")


def card() -> RoomCard:
    return RoomCard(
        origin="room.example",
        address="localhost:7443",
        tls_root=made_server_identity()[0].decode(),
        ledger_key=SigningKey.generate().verify_key.public,
        heads_key=SigningKey.generate().verify_key.public,
    )


@pytest.fixture
def profile(tmp_path: Path, issuer: Issuer) -> Profile:
    return enrol_member(issuer, tmp_path / "anna", card(), ANNA, utc_now())


def fault_of(folder: Path) -> tuple[str, str]:
    with pytest.raises(SafeRoomError) as refused:
        Profile.load(folder)
    assert refused.value.reason is Reason.BAD_CONFIG
    (fault,) = refused.value.fields
    return fault.field, fault.rule


def test_a_folder_reads_back_as_it_was_written(profile: Profile) -> None:
    again = Profile.load(profile.folder)
    assert (again.card, again.member, again.trust) == (profile.card, profile.member, profile.trust)
    assert again.signing_key.verify_key == profile.signing_key.verify_key
    assert again.signing_certificate == profile.signing_certificate
    assert again.tls_key == profile.tls_key


def test_only_the_owner_may_read_the_keys(profile: Profile) -> None:
    assert profile.folder.stat().st_mode & 0o777 == 0o700
    for name in KEYS:
        assert (profile.folder / name).stat().st_mode & 0o777 == 0o600


def test_a_folder_is_not_written_over(profile: Profile) -> None:
    with pytest.raises(SafeRoomError) as refused:
        profile.save()
    assert refused.value.fields[0].rule == "it is there already and is not written over"


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(profile: Profile, name: str) -> None:
    (profile.folder / name).unlink()
    field, rule = fault_of(profile.folder)
    if name == "room.json":  # without it the folder is perhaps nobody's
        assert (field, rule) == (str(profile.folder), "it holds no room.json")
        return
    assert field == str(profile.folder / name)
    assert rule == "No such file or directory"


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_key_that_others_may_read_is_refused_with_the_remedy(
    profile: Profile, name: str, mode: int
) -> None:
    (profile.folder / name).chmod(mode)
    field, rule = fault_of(profile.folder)
    assert field == str(profile.folder / name)
    assert f"mode {mode:04o}" in rule
    assert f"chmod 600 {profile.folder / name}" in rule


@pytest.mark.parametrize("name", ["room.json", "identity.json", "trust.json"])
def test_an_unknown_key_of_a_file_is_named(profile: Profile, name: str) -> None:
    path = profile.folder / name
    document: dict[str, object] = json.loads(path.read_bytes())
    write_file(path, json.dumps({**document, "colour": "red"}).encode())
    field, _ = fault_of(profile.folder)
    assert field == f"{path}: colour"


def test_a_key_that_stands_twice_is_refused(profile: Profile) -> None:
    path = profile.folder / "identity.json"
    text = path.read_text().replace('"organisation"', '"name": "bert", "organisation"')
    path.write_text(text)
    assert "stands twice" in fault_of(profile.folder)[1]


@pytest.mark.parametrize("name", ["tls.pem", "signing.pem", "signing.key"])
def test_what_is_no_pem_is_refused(profile: Profile, name: str) -> None:
    write_file(profile.folder / name, b"not a key")
    assert fault_of(profile.folder)[0] == str(profile.folder / name)


def test_keys_and_names_of_somebody_else_are_refused(
    profile: Profile, issuer: Issuer, tmp_path: Path
) -> None:
    bert = Member(organisation="bank", name="bert")
    other = enrol_member(issuer, tmp_path / "bert", card(), bert, utc_now())
    for name in ("signing.key", "signing.pem", "tls.pem"):
        mine = (profile.folder / name).read_bytes()
        write_file(profile.folder / name, (other.folder / name).read_bytes())
        assert fault_of(profile.folder)[0] == str(profile.folder / name)
        write_file(profile.folder / name, mine)
    write_file(profile.folder / "room.json", (other.folder / "room.json").read_bytes())
    assert fault_of(profile.folder) == (
        str(profile.folder / "trust.json"),
        "it is about another room than room.json",
    )


def test_no_text_form_shows_a_key(profile: Profile) -> None:
    shown = repr(profile)
    assert "PRIVATE" not in shown
    assert "signing_key" not in shown


def test_a_pinned_root_stays(profile: Profile) -> None:
    root, other = (SigningKey.generate().verify_key.public for _ in range(2))
    pinned = profile.pin("tax", root).pin("tax", root)
    assert Profile.load(profile.folder).trust.charter_roots == {"tax": root}
    with pytest.raises(SafeRoomError) as refused:
        pinned.pin("tax", other)
    assert "another charter root of tax is pinned" in refused.value.detail


def test_two_processes_pin_roots_and_none_is_lost_or_replaced(profile: Profile) -> None:
    one, other = (SigningKey.generate().verify_key.public for _ in range(2))
    # Another process of the member: it read the folder before anything was pinned.
    beside = Profile.load(profile.folder)
    pinned = profile.pin("tax", one)
    assert beside.pin("court", other).trust.charter_roots == {"court": other, "tax": one}
    with pytest.raises(SafeRoomError) as refused:
        beside.pin("tax", other)
    assert "another charter root of tax is pinned" in refused.value.detail
    # What was reckoned from keys that are no longer the newest is not written over them.
    with pytest.raises(SafeRoomError) as refused:
        pinned.keep_trust(profile.trust)
    assert refused.value.reason is Reason.CONFLICT
    assert Profile.load(profile.folder).trust.charter_roots == {"court": other, "tax": one}


@pytest.mark.parametrize("around", ["members", "members/bank"])
def test_a_folder_around_a_members_names_it(tmp_path: Path, issuer: Issuer, around: str) -> None:
    folder = tmp_path / "members" / "bank" / "anna"
    enrol_member(issuer, folder, card(), ANNA, utc_now())
    rule = f"it holds no room.json; near it: {folder}"
    assert fault_of(tmp_path / around) == (str(tmp_path / around), rule)
    assert fault_of(folder / "tls.pem") == (str(folder / "tls.pem"), "there is no such folder")


def test_a_root_that_is_no_key_is_not_pinned(profile: Profile) -> None:
    with pytest.raises(SafeRoomError) as refused:
        profile.pin("tax", "abc")
    assert refused.value.reason is Reason.MALFORMED


def test_the_contract_takes_the_issuers_certificates(profile: Profile, issuer: Issuer) -> None:
    identity, key = verify_identity(profile.signing_certificate, (issuer.pem,), utc_now())
    assert (identity.organisation, identity.name) == ("bank", "anna")
    assert key == profile.signing_key.verify_key
    tls = x509.load_pem_x509_certificate(profile.tls_certificate)
    assert read_identity(tls.public_bytes(Encoding.DER)).name == "anna"


def test_a_subject_is_named_by_its_code(issuer: Issuer, tmp_path: Path) -> None:
    member = Member(organisation=make_uscc(7), name="self")
    profile = enrol_member(issuer, tmp_path / "subject", card(), member, utc_now())
    identity, _ = verify_identity(profile.signing_certificate, (issuer.pem,), utc_now())
    assert (identity.kind, identity.organisation) == (IdentityKind.SUBJECT, make_uscc(7))


def test_another_issuers_certificate_is_refused(profile: Profile) -> None:
    other = Issuer.create("registry", utc_now())
    with pytest.raises(SafeRoomError) as refused:
        verify_identity(profile.signing_certificate, (other.pem,), utc_now())
    assert refused.value.reason is Reason.UNAUTHENTICATED


def test_a_connection_certificate_signs_no_statement(profile: Profile, issuer: Issuer) -> None:
    der = x509.load_pem_x509_certificate(profile.tls_certificate).public_bytes(Encoding.DER)
    with pytest.raises(SafeRoomError) as refused:
        verify_identity(der, (issuer.pem,), utc_now())
    assert refused.value.reason is Reason.UNAUTHENTICATED


def test_the_two_certificates_serve_one_use_each(profile: Profile) -> None:
    def uses(certificate: x509.Certificate) -> list[str]:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
        return [each.dotted_string for each in usage.value]

    tls = x509.load_pem_x509_certificate(profile.tls_certificate)
    assert uses(tls) == ["1.3.6.1.5.5.7.3.2"]
    signing = x509.load_der_x509_certificate(profile.signing_certificate)
    assert uses(signing) == ["1.3.6.1.5.5.7.3.36"]


def test_an_issuer_reads_back_as_it_was_written(issuer: Issuer, tmp_path: Path) -> None:
    issuer.save(tmp_path / "issuer")
    again = Issuer.load(tmp_path / "issuer")
    assert again.card == issuer.card
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    again.issue_connection(ANNA, key, utc_now()).verify_directly_issued_by(issuer.certificate)
    with pytest.raises(SafeRoomError) as refused:
        issuer.save(tmp_path / "issuer")
    assert refused.value.reason is Reason.BAD_CONFIG


@pytest.mark.parametrize("name", ["issuer.key", "statements.key"])
def test_an_issuers_key_that_others_may_read_is_refused(
    issuer: Issuer, tmp_path: Path, name: str
) -> None:
    issuer.save(tmp_path / "issuer")
    (tmp_path / "issuer" / name).chmod(0o644)
    with pytest.raises(SafeRoomError) as refused:
        Issuer.load(tmp_path / "issuer")
    assert name in refused.value.fields[0].field


def test_a_certificate_of_no_day_is_refused(issuer: Issuer) -> None:
    key = SigningKey.generate().verify_key
    with pytest.raises(SafeRoomError) as refused:
        issuer.issue_signing(ANNA, key, utc_now(), days=0)
    assert refused.value.reason is Reason.BAD_CONFIG


def test_the_issuers_revocations_hold_under_a_charter_that_names_it(issuer: Issuer) -> None:
    case = make_case()
    case.world.owner("tax").adopt(issuers=(issuer.card,))
    fingerprint = "sha256:" + "7" * 64
    revocation = issuer.revoke(case.world.room, fingerprint, "key lost", utc_now())
    opened = verify_certificate_revocation(revocation, case.world.owner("tax").charter)
    assert (opened.fingerprint, opened.issuer) == (fingerprint, "registry")


@pytest.mark.parametrize(
    ("organisation", "name"),
    [
        ("Bank", "anna"),
        ("bank", "Anna"),
        ("bank/x", "anna"),
        ("", "anna"),
        (make_uscc(1), "anna"),
        (make_uscc(1).replace("9", "8", 1), "self"),
    ],
)
def test_a_name_that_no_certificate_could_hold_is_refused(organisation: str, name: str) -> None:
    with pytest.raises((ValueError, SafeRoomError)):
        Member(organisation=organisation, name=name)
