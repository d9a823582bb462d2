"""A feature reads no column that its SQL does not spell: approvers are shown the columns by it."""

from __future__ import annotations

import pytest

from saferoom_enclaves.features.sql import check_feature_sql
from saferoom_proto.reasons import SafeRoomError
from simulator.sample import TAX_TABLES


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT uscc AS subject, x AS value FROM firms f(uscc, x)",
        "SELECT uscc AS subject, * AS value FROM firms",
        "SELECT uscc AS subject, COLUMNS('v.*') AS value FROM firms",
        "SELECT uscc AS subject, #2 AS value FROM firms",
        'SELECT uscc AS subject, U&"v\\0061t" AS value FROM firms',
        "SELECT uscc AS subject, firms AS value FROM firms",
        "SELECT uscc AS subject, arrears AS value FROM firms NATURAL JOIN firms f",
    ],
)
def test_what_reads_a_column_by_another_name_is_refused(sql: str) -> None:
    with pytest.raises(SafeRoomError, match="MALFORMED_SQL"):
        check_feature_sql(sql, {table.name: table for table in TAX_TABLES})
