"""What is signed in a room: every statement's payload, its type, and how it is opened.

A statement is a JSON payload in a DSSE envelope. The bytes that were signed travel as they are;
its digest is over those bytes (`Envelope.digest`), never over a parsed form.
"""

from saferoom_proto.statements.aggregate import (
    Aggregate,
    MeasureKind,
    TableMeasure,
    TableRules,
)
from saferoom_proto.statements.base import (
    MAX_PAYLOAD_BYTES,
    Digest,
    Instant,
    Name,
    Owner,
    Payload,
    PublicKey,
    Purpose,
    Text,
    Title,
    Usage,
    Uscc,
    load,
    seal_statement,
)
from saferoom_proto.statements.batch import BatchRelease, BatchRequest, Span
from saferoom_proto.statements.charter import (
    Approver,
    Charter,
    IdentityIssuer,
    LevelLimits,
    RoomKeys,
)
from saferoom_proto.statements.consent import (
    CertificateRevocation,
    Consent,
    ConsentRevocation,
    Paper,
)
from saferoom_proto.statements.cost import CostEstimate, CostRequest, FamilyPrice, FeaturePrice
from saferoom_proto.statements.dispute import (
    Dispute,
    DisputeAnswer,
    DisputeWithdrawal,
    Finding,
)
from saferoom_proto.statements.enclave import (
    Acknowledgement,
    ChainLink,
    Charge,
    Disclosure,
    Endorsement,
    Evidence,
    EvidenceClaims,
    KeyChange,
    Outcome,
    Release,
    Snapshot,
    StoreState,
    StreamPosition,
)
from saferoom_proto.statements.feature import (
    Absent,
    ClassCell,
    Column,
    ColumnType,
    Feature,
    FeatureKind,
    Schema,
    Table,
)
from saferoom_proto.statements.federation import (
    FederationEnd,
    FederationJoin,
    FederationProposal,
    FederationResult,
    SharedColumn,
)
from saferoom_proto.statements.handover import KeyHandover, KeyUse, RootHandover
from saferoom_proto.statements.head import Head, Refusal
from saferoom_proto.statements.job import (
    JobAdmission,
    JobCancel,
    JobOutcome,
    JobRelease,
    JobRequest,
    JobStep,
)
from saferoom_proto.statements.premises import Launch, Switchboard
from saferoom_proto.statements.recovery import Recovered, Recovery
from saferoom_proto.statements.report import Report, ReportTable
from saferoom_proto.statements.request import CheckRequest
from saferoom_proto.statements.score import Askers, Score
from saferoom_proto.statements.source import Source
from saferoom_proto.statements.subject import ConsentRequest, HoldingsRequest
from saferoom_proto.statements.tables import TableRelease, TableRequest
from saferoom_proto.statements.template import (
    Agreement,
    AgreementEnd,
    Approval,
    Parameter,
    Pause,
    Returns,
    Template,
    TemplateRefusal,
    Withdrawal,
)
from saferoom_proto.statements.training import Bounds, Figure, Runs, Training, TrainingMethod
from saferoom_proto.statements.trial import FeatureTrial

__all__ = [
    "MAX_PAYLOAD_BYTES",
    "Absent",
    "Acknowledgement",
    "Aggregate",
    "Agreement",
    "AgreementEnd",
    "Approval",
    "Approver",
    "Askers",
    "BatchRelease",
    "BatchRequest",
    "Bounds",
    "CertificateRevocation",
    "ChainLink",
    "Charge",
    "Charter",
    "CheckRequest",
    "ClassCell",
    "Column",
    "ColumnType",
    "Consent",
    "ConsentRequest",
    "ConsentRevocation",
    "CostEstimate",
    "CostRequest",
    "Digest",
    "Disclosure",
    "Dispute",
    "DisputeAnswer",
    "DisputeWithdrawal",
    "Endorsement",
    "Evidence",
    "EvidenceClaims",
    "FamilyPrice",
    "Feature",
    "FeatureKind",
    "FeaturePrice",
    "FeatureTrial",
    "FederationEnd",
    "FederationJoin",
    "FederationProposal",
    "FederationResult",
    "Figure",
    "Finding",
    "Head",
    "HoldingsRequest",
    "IdentityIssuer",
    "Instant",
    "JobAdmission",
    "JobCancel",
    "JobOutcome",
    "JobRelease",
    "JobRequest",
    "JobStep",
    "KeyChange",
    "KeyHandover",
    "KeyUse",
    "Launch",
    "LevelLimits",
    "MeasureKind",
    "Name",
    "Outcome",
    "Owner",
    "Paper",
    "Parameter",
    "Pause",
    "Payload",
    "PublicKey",
    "Purpose",
    "Recovered",
    "Recovery",
    "Refusal",
    "Release",
    "Report",
    "ReportTable",
    "Returns",
    "RoomKeys",
    "RootHandover",
    "Runs",
    "Schema",
    "Score",
    "SharedColumn",
    "Snapshot",
    "Source",
    "Span",
    "StoreState",
    "StreamPosition",
    "Switchboard",
    "Table",
    "TableMeasure",
    "TableRelease",
    "TableRequest",
    "TableRules",
    "Template",
    "TemplateRefusal",
    "Text",
    "Title",
    "Training",
    "TrainingMethod",
    "Usage",
    "Uscc",
    "Withdrawal",
    "load",
    "seal_statement",
]
