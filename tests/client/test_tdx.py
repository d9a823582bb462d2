"""TDX quotes: the whole chain verified, and held to a policy; each lie refused by its name."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from saferoom_client.tdx import TdxImage, TdxPolicy, TdxVerifier
from saferoom_proto.reasons import Reason, SafeRoomError
from simulator.tdx import DEBUG, SEPT_VE_DISABLE, Registers, TdxPlatform

pytest.importorskip("dcap_qvl", reason="the extra saferoom[tdx] is not installed")

ISSUED = datetime(2026, 11, 1, tzinfo=UTC)
NOW = ISSUED + timedelta(days=1)
DATA = bytes(range(64))
OURS = Registers()
POLICY = TdxPolicy(images=(TdxImage.model_validate(OURS.model_dump()),))
SAMPLES = "SAFEROOM_TDX_SAMPLES"


@pytest.fixture(scope="module")
def platform() -> TdxPlatform:
    return TdxPlatform(ISSUED)


def verify(
    platform: TdxPlatform,
    quote: bytes,
    *,
    policy: TdxPolicy = POLICY,
    collateral: str | None = None,
    now: datetime = NOW,
    data: bytes = DATA,
    root: bytes | None = None,
) -> None:
    given = platform.collateral() if collateral is None else collateral
    TdxVerifier(policy, given, now, root=root or platform.root).verify(quote, data)


def refused(check: Callable[[], object]) -> str:
    with pytest.raises(SafeRoomError) as error:
        check()
    assert error.value.reason is Reason.BAD_EVIDENCE
    return error.value.detail


def test_a_quote_of_an_accepted_image_over_these_claims_is_accepted(platform: TdxPlatform) -> None:
    quote = platform.quote(DATA)
    verify(platform, quote)
    assert quote[568:632] == DATA  # where the verifier reads it: nothing else made it pass


def test_a_quote_under_another_root_than_intels_is_refused(platform: TdxPlatform) -> None:
    verifier = TdxVerifier(POLICY, platform.collateral(), NOW)  # as in earnest
    assert refused(lambda: verifier.verify(platform.quote(DATA), DATA))


def test_another_platforms_root_does_not_count(platform: TdxPlatform) -> None:
    other = TdxPlatform(ISSUED)
    assert refused(lambda: verify(platform, platform.quote(DATA), root=other.root))
    assert refused(lambda: verify(platform, other.quote(DATA)))


@pytest.mark.parametrize("place", [50, 200, 300, 568, 640, 700, 800, 1100, 1300])
def test_a_quote_with_one_bit_altered_is_refused(platform: TdxPlatform, place: int) -> None:
    quote = bytearray(platform.quote(DATA))
    quote[place] ^= 1
    # Also where only the policy would notice: the signature covers header and report.
    assert refused(lambda: verify(platform, bytes(quote), data=bytes(quote[568:632])))


@pytest.mark.parametrize("length", [0, 4, 47, 632, 700, -1])
def test_half_a_quote_is_refused(platform: TdxPlatform, length: int) -> None:
    assert refused(lambda: verify(platform, platform.quote(DATA)[:length]))


def test_a_quote_over_something_else_is_refused(platform: TdxPlatform) -> None:
    detail = refused(lambda: verify(platform, platform.quote(DATA), data=bytes(64)))
    assert "another nonce, TLS key or claims" in detail


def test_a_domain_under_debug_is_refused(platform: TdxPlatform) -> None:
    quote = platform.quote(DATA, attributes=SEPT_VE_DISABLE | DEBUG)
    assert "ebug" in refused(lambda: verify(platform, quote))


@pytest.mark.parametrize("bit", range(1, 8))
def test_a_domain_with_any_other_bit_of_debugging_is_refused(
    platform: TdxPlatform, bit: int
) -> None:
    quote = platform.quote(DATA, attributes=SEPT_VE_DISABLE | (1 << bit))
    assert refused(lambda: verify(platform, quote))


@pytest.mark.parametrize("register", sorted(Registers.model_fields))
def test_another_image_is_refused_by_the_register_that_differs(
    platform: TdxPlatform, register: str
) -> None:
    other = OURS.model_copy(update={register: "ab" * 48})
    detail = refused(lambda: verify(platform, platform.quote(DATA, other)))
    assert detail.endswith(f"not accepted: {register}")


def test_registers_of_two_accepted_images_make_no_third(platform: TdxPlatform) -> None:
    second = OURS.model_copy(update={"mr_td": "aa" * 48, "rt_mr1": "bb" * 48})
    policy = TdxPolicy(
        images=tuple(TdxImage.model_validate(each.model_dump()) for each in (OURS, second))
    )
    verify(platform, platform.quote(DATA, second), policy=policy)
    mixed = OURS.model_copy(update={"mr_td": second.mr_td})
    assert refused(lambda: verify(platform, platform.quote(DATA, mixed), policy=policy))


@pytest.mark.parametrize("status", ["OutOfDate", "ConfigurationNeeded", "SWHardeningNeeded"])
def test_a_platform_that_is_behind_is_refused_unless_the_policy_takes_it(status: str) -> None:
    behind = TdxPlatform(ISSUED, status=status)
    quote = behind.quote(DATA)
    assert status in refused(lambda: verify(behind, quote))
    lenient = {"images": POLICY.images, "tcb_statuses": ("UpToDate", status)}
    verify(behind, quote, policy=TdxPolicy.model_validate(lenient))


def test_a_revoked_platform_is_refused_by_status_and_by_certificate(platform: TdxPlatform) -> None:
    revoked = TdxPlatform(ISSUED, status="Revoked")
    assert refused(lambda: verify(revoked, revoked.quote(DATA)))
    collateral = platform.collateral(revoked=True)
    assert refused(lambda: verify(platform, platform.quote(DATA), collateral=collateral))


@pytest.mark.parametrize("days", [-1, 31], ids=["not yet", "no more"])
def test_collateral_out_of_its_time_is_refused(platform: TdxPlatform, days: int) -> None:
    now = ISSUED + timedelta(days=days)
    assert refused(lambda: verify(platform, platform.quote(DATA), now=now))


@pytest.mark.parametrize("part", ["tcb_info", "qe_identity"])
def test_collateral_that_somebody_altered_is_refused(platform: TdxPlatform, part: str) -> None:
    collateral = json.loads(platform.collateral())
    collateral[part] = (
        collateral[part].replace('"isvsvn":2', '"isvsvn":1').replace('"isvsvn":4', '"isvsvn":3')
    )
    altered = json.dumps(collateral)
    assert refused(lambda: verify(platform, platform.quote(DATA), collateral=altered))


def test_collateral_that_is_none_is_told_as_that(platform: TdxPlatform) -> None:
    with pytest.raises(SafeRoomError) as error:
        verify(platform, platform.quote(DATA), collateral="{}")
    assert error.value.reason is Reason.BAD_CONFIG


def samples() -> Path:
    """Give the folder with published quotes: `sample/` of Phala-Network/dcap-qvl (MIT)."""
    named = os.environ.get(SAMPLES)
    if named is None:
        pytest.skip(f"{SAMPLES} names no folder with published quotes")
    return Path(named)


def test_a_quote_of_real_hardware_is_verified_under_intels_root() -> None:
    folder = samples()
    quote = (folder / "tdx_quote").read_bytes()
    collateral = (folder / "tdx_quote_collateral.json").read_text()
    report = quote[48:632]
    image = TdxImage(
        mr_td=report[136:184].hex(),
        rt_mr0=report[328:376].hex(),
        rt_mr1=report[376:424].hex(),
        rt_mr2=report[424:472].hex(),
        rt_mr3=report[472:520].hex(),
    )
    data, then = report[520:584], datetime(2025, 6, 20, tzinfo=UTC)
    verifier = TdxVerifier(TdxPolicy(images=(image,)), collateral, then)
    verifier.verify(quote, data)
    assert "another nonce" in refused(lambda: verifier.verify(quote, bytes(64)))
    assert "image" in refused(lambda: TdxVerifier(POLICY, collateral, then).verify(quote, data))
    altered = quote[:200] + bytes([quote[200] ^ 1]) + quote[201:]
    assert refused(lambda: verifier.verify(altered, data))
    late = TdxVerifier(TdxPolicy(images=(image,)), collateral, then + timedelta(days=60))
    assert refused(lambda: late.verify(quote, data))
    made_up = TdxPlatform(ISSUED)
    elsewhere = TdxVerifier(TdxPolicy(images=(image,)), collateral, then, root=made_up.root)
    assert refused(lambda: elsewhere.verify(quote, data))


def test_a_published_quote_of_a_platform_that_is_behind_is_refused() -> None:
    folder = samples()
    quote = (folder / "tdx_quote_outdated").read_bytes()
    collateral = (folder / "tdx_quote_outdated_collateral.json").read_text()
    issued = json.loads(json.loads(collateral)["tcb_info"])["issueDate"]
    then = datetime.fromisoformat(issued) + timedelta(days=1)
    assert refused(lambda: TdxVerifier(POLICY, collateral, then).verify(quote, bytes(64)))
