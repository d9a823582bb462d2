"""The connection to a room: mutual TLS, limits, deadlines, and retries where a repeat is harmless.

Everything that is handed in is known by its digest, and a check by its request id, so sending one
twice does nothing twice. Streams are never retried here: their makers know how far they came.
"""

from __future__ import annotations

import ipaddress
import json
from typing import Final

import grpc

from saferoom_client.profile import Profile

MAX_REQUEST_BYTES: Final = 1 << 20
"""What the server takes at most."""
MAX_RESPONSE_BYTES: Final = 16 << 20
"""Lists answer with up to a thousand statements of a few KiB."""
MAX_METADATA_BYTES: Final = 16 << 10
KEEPALIVE_MILLISECONDS: Final = 60_000
"""Long enough that no server takes it for a flood, short enough to notice a dead line."""
KEEPALIVE_TIMEOUT_MILLISECONDS: Final = 20_000

_SERVICES: Final = (
    "IdentityService",
    "TemplateService",
    "ConsentService",
    "SubjectService",
    "CheckService",
    "UseService",
    "LedgerService",
)
_OF_OWNERS: Final = (
    "PutCharter",
    "GetCharter",
    "PutSchema",
    "GetSchema",
    "PutFeature",
    "ListFeatures",
    "Pause",
    "ListPauses",
    "GetEndorsement",
    "GetEvidence",
    "GetEnclaveChain",
    "RecoverEnclave",
    "ListSnapshots",
    "ListStores",
    "GetLoadProgress",
)
"""The owners' calls that may be sent again.

Not Rollback: its order names the snapshot it follows, so a repeat of what was carried out is a
`CONFLICT`. Nor TryDraft: an enclave would read the whole store a second time.
"""
_OF_JOBS: Final = ("SubmitJob", "ListJobs", "CancelJob")
"""A signed request, or the end of a job, is given the same word again. The others are streams."""

_OF_FEDERATIONS: Final = (
    "ProposeFederation",
    "JoinFederation",
    "EndFederation",
    "ReportFederation",
    "GetFederation",
    "ListFederations",
)
"""A signed word is given the same proof again. Training is a stream."""

REPEATABLE: Final = [
    *({"service": f"saferoom.v1.{service}"} for service in _SERVICES),
    *({"service": "saferoom.v1.OwnerService", "method": method} for method in _OF_OWNERS),
    *({"service": "saferoom.v1.JobService", "method": method} for method in _OF_JOBS),
    *({"service": "saferoom.v1.FederationService", "method": each} for each in _OF_FEDERATIONS),
]

# gRPC's own back-off (gRFC A6): three more tries within about a second, and fewer where many fail.
_SERVICE_CONFIG: Final = {
    "methodConfig": [
        {
            "name": REPEATABLE,
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
    "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
}


def open_channel(
    profile: Profile,
    *,
    keepalive_milliseconds: int = KEEPALIVE_MILLISECONDS,
    keepalive_timeout_milliseconds: int = KEEPALIVE_TIMEOUT_MILLISECONDS,
) -> grpc.aio.Channel:
    """Open a member's channel to its room, in the running event loop; nothing is sent yet.

    Args:
        profile: the member.
        keepalive_milliseconds: how often a line is tried on which nothing comes.
        keepalive_timeout_milliseconds: how long the other end may then be silent.
    """
    credentials = grpc.ssl_channel_credentials(
        root_certificates=profile.card.tls_root.encode(),
        private_key=profile.tls_key,
        certificate_chain=profile.tls_certificate,
    )
    options = _options(profile.card.address)
    options.append(("grpc.keepalive_time_ms", keepalive_milliseconds))
    options.append(("grpc.keepalive_timeout_ms", keepalive_timeout_milliseconds))
    return grpc.aio.secure_channel(profile.card.address, credentials, options=options)


def _options(address: str) -> list[tuple[str, int | str]]:
    options: list[tuple[str, int | str]] = [
        ("grpc.max_send_message_length", MAX_REQUEST_BYTES),
        ("grpc.max_receive_message_length", MAX_RESPONSE_BYTES),
        ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
        ("grpc.enable_retries", 1),
        ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
        # Each room of a process has its own connection, so that closing one closes no other.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if _is_local(address):
        # A proxy of the environment leads out of this machine, never back into it.
        options.append(("grpc.enable_http_proxy", 0))
    return options


def _is_local(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
