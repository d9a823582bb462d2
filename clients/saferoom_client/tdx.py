"""Verifies TDX quotes: that Intel's hardware runs a given image, with firmware of a given state.

What the quote's signatures come to is dcap-qvl's business (the extra `saferoom[tdx]`): from Intel's
root, which the library pins, down to the quote; TCB level, quoting enclave and revocation, by
collateral that whoever verifies has fetched from Intel or a cache of it. Here is what is held to a
policy.

Source: Intel TDX DCAP Quoting Library API, 2023, appendix A (quote format); Intel TDX Module v1.5
ABI Specification, TD_ATTRIBUTES.
"""

from __future__ import annotations

from datetime import datetime
from types import ModuleType
from typing import Annotated, Final, Literal, cast

from pydantic import Field, StringConstraints

from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.base import Part

Measurement = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{96}$")]
"""SHA-384, as the TDX module measures."""

TcbStatus = Literal[
    "UpToDate",
    "SWHardeningNeeded",
    "ConfigurationNeeded",
    "ConfigurationAndSWHardeningNeeded",
    "OutOfDate",
    "OutOfDateConfigurationNeeded",
]
"""Intel's words, but for `Revoked`, which no policy can accept."""

_TUD: Final = 0xFF
"""TD under debug: the lowest byte of TD_ATTRIBUTES is 0 in a domain that nobody looks into."""
_REGISTERS: Final = ("mr_td", "rt_mr0", "rt_mr1", "rt_mr2", "rt_mr3")


class TdxImage(Part):
    """A virtual machine image by all of its measurements."""

    mr_td: Measurement
    """The virtual firmware as it was loaded."""
    rt_mr0: Measurement
    """Its configuration."""
    rt_mr1: Measurement
    """Boot loader and kernel."""
    rt_mr2: Measurement
    """The kernel's command line and first file system."""
    rt_mr3: Measurement
    """What the image itself measured after its start: zeros if nothing."""


class TdxPolicy(Part):
    """Which TDX evidence counts."""

    images: Annotated[tuple[TdxImage, ...], Field(min_length=1, max_length=64)]
    tcb_statuses: Annotated[tuple[TcbStatus, ...], Field(min_length=1)] = ("UpToDate",)
    """How far behind the platform's firmware may be: more than `UpToDate` is the owner's risk."""


class TdxVerifier:
    """Holds quotes to a policy, at an instant, by collateral of that time.

    Args:
        policy: what counts.
        collateral: Intel's, for the platform, as dcap-qvl writes it to JSON.
        now: the instant.
        root: another root than Intel's, DER; for tests only.

    Raises:
        SafeRoomError: `BAD_CONFIG` without the extra, or for collateral that is not readable.
    """

    def __init__(
        self, policy: TdxPolicy, collateral: str, now: datetime, *, root: bytes | None = None
    ) -> None:
        self._policy: Final = policy
        self._now: Final = int(now.timestamp())
        self._root: Final = root
        self._library: Final = _library()
        try:
            self._collateral: Final = self._library.QuoteCollateralV3.from_json(collateral)
        except ValueError as error:
            detail = f"the collateral is not readable: {error}"
            raise SafeRoomError(Reason.BAD_CONFIG, detail) from error

    def verify(self, quote: bytes, report_data: bytes) -> None:
        """Refuse a quote that does not hold, or is over other report data.

        Raises:
            SafeRoomError: `BAD_EVIDENCE`, naming what does not hold.
        """
        # Step 1: a quote of a trust domain, signed down from Intel's root; collateral in force.
        try:
            parsed = self._library.parse_quote(quote)
            status = self._status(quote)
        except ValueError as error:
            raise _refused(str(error)) from error
        if not cast("bool", parsed.is_tdx()):
            raise _refused("it is no trust domain's")
        # Step 2: it is about these claims.
        report = parsed.report
        if cast("bytes", report.report_data) != report_data:
            raise _refused("it is over another nonce, TLS key or claims")
        # Step 3: nobody looks into the domain.
        attributes = int.from_bytes(cast("bytes", report.td_attributes), "little")
        if attributes & _TUD:
            raise _refused("the trust domain is under debug")
        # Step 4: the platform is as new as the policy asks.
        if status not in self._policy.tcb_statuses:
            raise _refused(f"the platform is {status}")
        # Step 5: it runs one of the accepted images, all of it.
        measured = {name: cast("bytes", getattr(report, name)).hex() for name in _REGISTERS}
        if TdxImage.model_validate(measured) not in self._policy.images:
            raise _refused(f"its image is not accepted: {_nearest(measured, self._policy.images)}")

    def _status(self, quote: bytes) -> str:
        """Verify the quote's signatures; gives how new the platform is, in Intel's word."""
        library, given, now = self._library, self._collateral, self._now
        if self._root is None:
            verified = library.verify(quote, given, now)
        else:
            verified = library.verify_with_root_ca(quote, given, self._root, now)
        return cast("str", verified.status)


def _nearest(measured: dict[str, str], images: tuple[TdxImage, ...]) -> str:
    """Name the registers that differ from the image that fits best."""
    differing = [
        [name for name in _REGISTERS if getattr(image, name) != measured[name]] for image in images
    ]
    return ", ".join(min(differing, key=len))


def _library() -> ModuleType:
    try:
        import dcap_qvl  # noqa: PLC0415 - an extra # pyright: ignore[reportMissingTypeStubs]
    except ImportError as error:
        detail = 'TDX evidence needs the extra: pip install "saferoom[tdx]"'
        raise SafeRoomError(Reason.BAD_CONFIG, detail) from error
    return dcap_qvl


def _refused(what: str) -> SafeRoomError:
    return SafeRoomError(Reason.BAD_EVIDENCE, f"the TDX quote: {what}")
