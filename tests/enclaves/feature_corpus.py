"""Feature SQL for tests of its gate: what owners write, and what nobody may."""

from __future__ import annotations

from typing import Final

from saferoom_enclaves.features.sql import MAX_CHARACTERS
from tests.enclaves.tables import SUBJECTS

HONEST: Final = {
    "a column": "SELECT uscc AS subject, paid AS value FROM vat",
    "a flag": "SELECT uscc AS subject, late AS value FROM vat WHERE late IS NOT NULL",
    "the last twelve months": """
        SELECT uscc AS subject, sum(paid) AS value FROM vat
        WHERE filed >= $as_of - INTERVAL 12 MONTH AND filed < $as_of
        GROUP BY uscc""",
    "how many late": """
        SELECT uscc AS subject, count(*) FILTER (WHERE late) AS value FROM vat GROUP BY uscc""",
    "how many different": """
        SELECT v.uscc AS subject, count(DISTINCT v.grade) AS value FROM vat AS v GROUP BY v.uscc""",
    "a ratio": """
        SELECT uscc AS subject, sum(paid) / nullif(sum(months), 0) AS value
        FROM vat GROUP BY uscc""",
    "a classification": """
        SELECT uscc AS subject,
               CASE WHEN paid >= 1000 THEN 'large' WHEN paid > 0 THEN 'small' ELSE 'none' END
               AS value
        FROM vat -- one row a subject
    """,
    "a join": """
        SELECT vat.uscc AS subject, sum(amount) AS value
        FROM vat JOIN arrears ON vat.uscc = arrears.uscc
        WHERE open IS TRUE GROUP BY vat.uscc""",
    "in another table or not": """
        SELECT uscc AS subject, a.uscc IS NOT NULL AS value
        FROM vat LEFT JOIN arrears a USING (uscc)""",
    "three tables": """
        SELECT v.uscc AS subject, coalesce(avg(s.wage), 0) AS value
        FROM vat v LEFT JOIN arrears a ON a.uscc = v.uscc LEFT JOIN staff s ON v.uscc = s.uscc
        GROUP BY v.uscc""",
    "since when": """
        SELECT uscc AS subject, date_diff('month', min(filed), $as_of) AS value
        FROM vat GROUP BY uscc""",
    "the newest": """
        SELECT uscc AS subject, arg_max(grade, filed) AS value FROM vat GROUP BY uscc""",
    "text read as a number": """
        SELECT uscc AS subject, TRY_CAST(trim(grade) AS DECIMAL(18,4)) AS value FROM vat""",
    "a set and a range": """
        SELECT uscc AS subject,
               bool_or(grade IN ('A', 'B') AND paid BETWEEN 0 AND 5e6) AS value
        FROM vat WHERE filed >= DATE '2024-01-01' GROUP BY uscc""",
    "a year": """
        SELECT uscc AS subject, max(extract(year FROM filed)) AS value FROM vat GROUP BY uscc""",
    "a prefix": """
        SELECT uscc AS subject, left(upper(grade), 2) AS value FROM vat""",
    "text beside text": """
        SELECT uscc AS subject, coalesce(nullif(trim(grade), ''), 'none') IN ('A', 'none') AS value
        FROM vat WHERE filed >= '2024-01-01' AND left(grade, 1) <> TRY_CAST(months AS VARCHAR)""",
    "a truth of a comparison": """
        SELECT uscc AS subject, (paid > 5) IS NOT TRUE AS value FROM vat""",
    "how many rows joined": """
        SELECT v.uscc AS subject, count(a.uscc) AS value
        FROM vat v LEFT JOIN arrears a USING (uscc) GROUP BY v.uscc""",
    "FROM first": "FROM vat SELECT uscc AS subject, -paid * 2 + 1 AS value",
    "upper case": 'select "USCC" as SUBJECT, Round(ABS(Paid), 2) as VALUE from "Vat"',
    "Chinese classes": "SELECT uscc AS subject, grade = '甲级' AS value FROM vat",
}

VALUE: Final = "SELECT uscc AS subject, {} AS value FROM vat"
GROUPED: Final = "SELECT uscc AS subject, {} AS value FROM vat GROUP BY uscc"
WHERE: Final = "SELECT uscc AS subject, paid AS value FROM vat WHERE {}"
JOINED: Final = "SELECT v.uscc AS subject, paid AS value FROM vat v JOIN arrears a ON {}"

HOSTILE: Final = [
    # Not one SELECT.
    "",
    "   ",
    "-- nothing",
    "SELECT",
    "SELEC uscc",
    "DROP TABLE vat",
    "DELETE FROM vat",
    "INSERT INTO vat SELECT * FROM vat",
    "UPDATE vat SET paid = 0",
    "CREATE TABLE x AS SELECT 1",
    "COPY vat TO '/tmp/x'",
    "ATTACH '/tmp/x' AS x",
    "PRAGMA database_list",
    "SET threads = 9",
    "CALL pragma_version()",
    "EXPLAIN SELECT 1",
    "DESCRIBE vat",
    "SUMMARIZE vat",
    "SHOW TABLES",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "INSTALL httpfs",
    "MERGE INTO vat USING arrears ON true WHEN MATCHED THEN DELETE",
    "PIVOT vat ON grade USING sum(paid)",
    HONEST["a column"] + "; " + HONEST["a column"],
    HONEST["a column"] + "; DROP TABLE vat",
    HONEST["a column"] + ";",
    HONEST["a column"] + "; -- and then",
    HONEST["a column"] + " UNION " + HONEST["a column"],
    HONEST["a column"] + " EXCEPT " + HONEST["a column"],
    "VALUES ('a', 1)",
    # Clauses that are not listed.
    "WITH x AS (DELETE FROM vat RETURNING *) SELECT uscc AS subject, paid AS value FROM x",
    "WITH vat AS (SELECT * FROM arrears) SELECT uscc AS subject, open AS value FROM vat",
    "WITH RECURSIVE r AS (SELECT 1) SELECT uscc AS subject, paid AS value FROM vat",
    "SELECT DISTINCT uscc AS subject, paid AS value FROM vat",
    HONEST["a column"] + " ORDER BY paid",
    HONEST["a column"] + " LIMIT 1",
    HONEST["a column"] + " OFFSET 1",
    HONEST["a column"] + " QUALIFY row_number() OVER () = 1",
    HONEST["a column"] + " USING SAMPLE 1",
    HONEST["a column"] + " TABLESAMPLE 10%",
    HONEST["a column"] + " AT (VERSION => 1)",
    GROUPED.format("sum(paid)") + " HAVING count(*) > 1",
    "SELECT uscc AS subject, sum(paid) AS value FROM vat GROUP BY ALL",
    "SELECT uscc AS subject, sum(paid) AS value FROM vat GROUP BY 1",
    "SELECT uscc AS subject, sum(paid) AS value FROM vat GROUP BY subject",
    "SELECT uscc AS subject, sum(paid) AS value FROM vat GROUP BY grade",
    "SELECT uscc AS subject, sum(paid) AS value FROM vat GROUP BY uscc, grade",
    "SELECT uscc AS subject, sum(paid) AS value FROM vat GROUP BY ROLLUP (uscc)",
    "SELECT uscc AS subject, sum(paid) AS value FROM vat GROUP BY CUBE (uscc, grade)",
    "SELECT uscc AS subject, sum(paid) AS value FROM vat GROUP BY ()",
    "SELECT uscc AS subject, sum(paid) AS value FROM vat GROUP BY lower(uscc)",
    # Columns of the result.
    "SELECT * FROM vat",
    "SELECT uscc, paid FROM vat",
    "SELECT uscc AS subject FROM vat",
    "SELECT paid AS value, uscc AS subject FROM vat",
    "SELECT uscc AS subject, paid AS value, grade AS more FROM vat",
    "SELECT grade AS subject, paid AS value FROM vat",
    "SELECT lower(uscc) AS subject, paid AS value FROM vat",
    "SELECT 'x' AS subject, paid AS value FROM vat",
    "SELECT COLUMNS(*) FROM vat",
    "SELECT uscc AS subject, COLUMNS('p.*') AS value FROM vat",
    VALUE.format("vat"),
    VALUE.format("vat.*"),
    VALUE.format("(paid, months)"),
    VALUE.format("rowid"),
    VALUE.format("secret"),
    VALUE.format("value"),
    VALUE.format("arrears.amount"),
    VALUE.format("main.vat.paid"),
    VALUE.format("vat.paid.x"),
    # Tables that are not the owner's, or not plain.
    "SELECT uscc AS subject, paid AS value FROM other",
    "SELECT uscc AS subject, paid AS value FROM main.vat",
    "SELECT uscc AS subject, paid AS value FROM store.main.vat",
    "SELECT uscc AS subject, paid AS value FROM court.vat",
    "SELECT uscc AS subject, paid AS value FROM vat AS v(uscc, paid)",
    "SELECT uscc AS subject, 1 AS value FROM 'vat.csv' AS vat",
    "SELECT 'a' AS subject, 1 AS value FROM '/etc/passwd'",
    "SELECT 'a' AS subject, 1 AS value FROM read_csv('/etc/passwd')",
    "SELECT 'a' AS subject, 1 AS value FROM duckdb_tables()",
    "SELECT 'a' AS subject, 1 AS value FROM information_schema.tables",
    "SELECT 'a' AS subject, 1 AS value FROM query('select 1')",
    "SELECT 'a' AS subject, 1 AS value FROM query_table('vat')",
    "SELECT 'a' AS subject, 1 AS value FROM range(1000000000)",
    "SELECT 'a' AS subject, 1 AS value FROM (VALUES (1)) AS v",
    "SELECT uscc AS subject, paid AS value FROM (SELECT * FROM vat) AS v",
    "SELECT uscc AS subject, paid AS value FROM vat, LATERAL (SELECT 1) AS l",
    "SELECT 1 AS subject, 2 AS value",
    # Joins but on the keys.
    "SELECT vat.uscc AS subject, paid AS value FROM vat, arrears",
    "SELECT vat.uscc AS subject, paid AS value FROM vat CROSS JOIN arrears",
    "SELECT uscc AS subject, paid AS value FROM vat NATURAL JOIN arrears",
    "SELECT vat.uscc AS subject, paid AS value FROM vat POSITIONAL JOIN arrears",
    "SELECT v.uscc AS subject, paid AS value FROM vat v ASOF JOIN arrears a ON v.uscc >= a.uscc",
    "SELECT uscc AS subject, paid AS value FROM vat SEMI JOIN arrears USING (uscc)",
    "SELECT uscc AS subject, paid AS value FROM vat RIGHT JOIN arrears USING (uscc)",
    "SELECT uscc AS subject, paid AS value FROM vat FULL JOIN arrears USING (uscc)",
    JOINED.format("true"),
    JOINED.format("v.uscc <> a.uscc"),
    JOINED.format("v.uscc = v.uscc"),
    JOINED.format("v.uscc = a.open"),
    JOINED.format("v.paid = a.amount"),
    JOINED.format("v.uscc = 'x'"),
    JOINED.format("v.uscc = a.uscc AND a.open"),
    JOINED.format("v.uscc = a.uscc OR true"),
    "SELECT a.uscc AS subject, paid AS value FROM vat v LEFT JOIN arrears a USING (uscc)",
    "SELECT uscc AS subject, 1 AS value FROM vat v JOIN arrears a ON v.uscc = a.uscc",
    "SELECT v.uscc AS subject, 1 AS value FROM vat v JOIN vat v ON v.uscc = v.uscc",
    JOINED.format("v.uscc = a.uscc JOIN (staff s JOIN vat w USING (uscc)) ON s.uscc = v.uscc"),
    JOINED.format("v.uscc = a.uscc" + "".join(f" JOIN vat t{n} USING (uscc)" for n in range(7))),
    # The subject's key, and literals of it.
    WHERE.format(f"uscc = '{SUBJECTS[0]}'"),
    WHERE.format("uscc = 'x'"),
    WHERE.format("uscc <> grade"),
    WHERE.format("uscc IN ('x', 'y')"),
    WHERE.format("uscc BETWEEN 'a' AND 'b'"),
    WHERE.format("uscc > 'x'"),
    WHERE.format("uscc IS DISTINCT FROM 'x'"),
    WHERE.format("uscc LIKE '91%'"),
    WHERE.format("left(uscc, 2) = '91'"),
    WHERE.format("starts_with(uscc, '91')"),
    WHERE.format("length(uscc) = 18"),
    WHERE.format("coalesce(uscc, 'x') = 'x'"),
    WHERE.format(f"grade = '{SUBJECTS[0]}'"),
    WHERE.format(f"grade IN ('A', '{SUBJECTS[0].lower()}')"),
    WHERE.format(f"grade = e'{SUBJECTS[0]}'"),
    WHERE.format(f"grade = $${SUBJECTS[0]}$$"),
    VALUE.format("uscc"),
    VALUE.format("CASE uscc WHEN 'x' THEN 1 END"),
    VALUE.format("TRY_CAST(uscc AS BIGINT)"),
    GROUPED.format("min(uscc)"),
    GROUPED.format("arg_max(uscc, paid)"),
    GROUPED.format("count(lower(uscc))"),
    GROUPED.format("uscc IS NULL"),
    # Time, chance, settings, order, other rows.
    VALUE.format("now()"),
    VALUE.format("today()"),
    VALUE.format("current_date"),
    VALUE.format("current_timestamp"),
    VALUE.format("date_diff('day', filed, current_date)"),
    VALUE.format("random()"),
    VALUE.format("uuid()"),
    VALUE.format("nextval('s')"),
    VALUE.format("getvariable('x')"),
    VALUE.format("current_setting('memory_limit')"),
    VALUE.format("getenv('HOME')"),
    VALUE.format("version()"),
    VALUE.format("row_number() OVER ()"),
    VALUE.format("sum(paid) OVER (ORDER BY filed)"),
    VALUE.format("lag(paid) OVER ()"),
    VALUE.format("(SELECT max(paid) FROM vat)"),
    VALUE.format("EXISTS (SELECT 1)"),
    VALUE.format("paid IN (SELECT amount FROM arrears)"),
    VALUE.format("paid = ANY ([1, 2])"),
    VALUE.format("paid > ALL (SELECT amount FROM arrears)"),
    GROUPED.format("first(paid)"),
    GROUPED.format("last(paid)"),
    GROUPED.format("any_value(paid)"),
    GROUPED.format("sum(paid ORDER BY filed)"),
    GROUPED.format("list(paid)"),
    GROUPED.format("string_agg(grade, ',')"),
    GROUPED.format("histogram(paid)"),
    GROUPED.format("mode(grade)"),
    GROUPED.format("max(paid, 3)"),
    GROUPED.format("reservoir_quantile(paid, 0.5)"),
    GROUPED.format("approx_count_distinct(grade)"),
    # Ways to fail on a value, to spend, or to look elsewhere.
    VALUE.format("error(grade)"),
    VALUE.format("CASE WHEN paid > 5 THEN error('yes') ELSE 0 END"),
    VALUE.format("CAST(grade AS INTEGER)"),
    VALUE.format("grade::DATE"),
    VALUE.format("DATE 'canary'"),
    VALUE.format("TIMESTAMP '2026-01-01'"),
    VALUE.format("CAST('2026-02-30' AS DATE)"),
    VALUE.format("grade IS TRUE"),
    VALUE.format("paid IS TRUE"),
    VALUE.format("strptime(grade, '%Y')"),
    VALUE.format("TRY(CAST(grade AS INTEGER))"),
    VALUE.format("TRY_CAST(grade AS JSON)"),
    VALUE.format("TRY_CAST(grade AS VARCHAR(5))"),
    VALUE.format("TRY_CAST(grade AS INTEGER[])"),
    VALUE.format("TRY_CAST(grade AS main.thing)"),
    VALUE.format("filed + INTERVAL '12 months'"),
    VALUE.format("filed + INTERVAL (months) DAY"),
    VALUE.format("to_days(CAST(5 AS INTEGER))"),
    VALUE.format("repeat('a', 1000000000)"),
    VALUE.format("range(1000000000)"),
    VALUE.format("grade || grade"),
    VALUE.format("concat(grade, grade)"),
    VALUE.format("regexp_matches(grade, '(a+)+')"),
    VALUE.format("grade ~ 'a'"),
    VALUE.format("grade LIKE 'a%'"),
    VALUE.format("grade COLLATE nocase"),
    VALUE.format("main.abs(paid)"),
    VALUE.format("paid.abs()"),
    VALUE.format("stats(paid)"),
    VALUE.format("[paid]"),
    VALUE.format("{'a': paid}"),
    VALUE.format("list_transform([1], x -> x)"),
    VALUE.format("unnest([1, 2])"),
    VALUE.format("grade[1]"),
    VALUE.format("date_part(grade, filed)"),
    VALUE.format("date_trunc('century', filed)"),
    VALUE.format("abs(paid, months)"),
    VALUE.format("abs(x := paid)"),
    VALUE.format("abs(DISTINCT paid)"),
    VALUE.format("abs(paid) FILTER (WHERE late)"),
    VALUE.format("$other"),
    VALUE.format("$1"),
    VALUE.format("?"),
    VALUE.format("x'00'"),
    # Aggregates where there is no group, and rows where there is one.
    VALUE.format("sum(paid)"),
    WHERE.format("sum(paid) > 1"),
    GROUPED.format("paid"),
    GROUPED.format("sum(paid) + paid"),
    GROUPED.format("sum(sum(paid))"),
    GROUPED.format("count(*) FILTER (WHERE sum(paid) > 1)"),
    GROUPED.format("vat.grade IS NULL"),
    # Types that do not fit: DuckDB's own refusal, made on empty tables.
    VALUE.format("grade + late"),
    VALUE.format("date_diff('day', paid, filed)"),
    # Too long, too deep.
    VALUE.format("1" + " + 1" * 100),
    VALUE.format("(" * 1500 + "1" + ")" * 1500),
    VALUE.format("NOT " * 900 + "late"),
    VALUE.format("paid" + " " * MAX_CHARACTERS),
]
