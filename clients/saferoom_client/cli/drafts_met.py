"""What is found wrong with drafts and sheets, listed for translation: features, formulas, tables.

It is said in English where it is found. Who drafts is an owner's official as often as a programmer.
"""

from __future__ import annotations

from typing import Final

from saferoom_client.tongue import later

DRAFTS: Final = (
    # A feature, and a template (`saferoom_proto/statements`).
    later("an ordered feature, and no other, has a grid"),
    later("an unordered feature, and no other, has classes"),
    later("a feature of stated values, and no other, has a rule for them"),
    later("an ordered feature of a source, and no other, names its grid's prior"),
    later("classes must not share a name or a value"),
    later("a column's name stands twice"),
    later("the key column is not among the columns"),
    later("a Check, and no other kind, has a formula: check"),
    later("declared and used must be the same, and of the same feature"),
    # Tables (`saferoom_proto/statements/aggregate.py`).
    later("the features are of one owner; of a sum they are named as the first's"),
    later("a sum is over three owners or more, in the order of their names"),
    later("a sum over owners leaves with noise only: say `privacy`"),
    later("over owners are added up: count, sum, histogram"),
    later("with bands a quarter is held out: least_rows is at least 1333"),
    # A feature's SQL (`saferoom_enclaves/features/sql.py`, `feature_expressions.py`).
    later("the statement cannot be read"),
    later("exactly one statement is expected"),
    later("one plain SELECT is expected"),
    later("write it without a closing semicolon"),
    later("the result has the columns subject and value"),
    later("the result is two columns: ... AS subject, ... AS value"),
    later("only a plain SELECT is allowed: no UNION, no VALUES"),
    later("WITH is not allowed"),
    later("GROUP BY ALL is not allowed"),
    later("GROUP BY takes the subject's key, and nothing else"),
    later("GROUP BY takes the same column that is the subject"),
    later("the subject is the key of a table that no LEFT JOIN adds"),
    later("FROM takes tables of the owner's own, and joins of them"),
    later("only JOIN and LEFT JOIN on the keys are allowed"),
    later("tables are joined on the equality of their subject keys"),
    later("a join adds one table at a time"),
    later("only the owner's own tables, by their plain names"),
    later("a column is expected here"),
    later("a condition is true or false: compare the text with something"),
    later("text is compared with what is no text: write TRY_CAST"),
    later("a cast can fail on a value: write TRY_CAST (or DATE '2026-01-31')"),
    later("a literal in the form of a subject's code is not allowed"),
    later("an interval is written INTERVAL 12 MONTH, with a whole number"),
    # A formula (`saferoom_proto/formula`).
    later("the formula is empty"),
    later("the formula breaks off here"),
    later("this cannot be read here"),
    later("a condition on a feature is expected here"),
    later("a feature, owner.name, is expected here"),
    later("a feature is written owner.name, in lower case, unquoted and unspaced"),
    later("features are not compared with features"),
    later("a comparison has a feature on one side"),
    later("IS is followed by TRUE, FALSE, NULL or a parameter"),
    later("BETWEEN is not allowed: write x >= a AND x < b"),
    later("a parenthesis is not closed"),
    later("this parenthesis was never opened"),
)
"""A test finds each in the code that gives it."""

DRAFTS_WITH_VALUES: Final = (
    later("line {line} column {column}: {rule}"),
    later("line {line}: {rule}"),
    later("it cannot be read as YAML from here on: {problem}"),
    # A sum over owners.
    later("its classes are others than those of {feature}"),
    later("its unit is another than that of {feature}"),
    # A feature, and its SQL.
    later("a grid has at most {most} thresholds, each above the one before"),
    later("a partition has {least} to {most} classes"),
    later("a stated value needs consent: level {level} or above"),
    later("a source is asked under consent: level {level} or above"),
    later("it reads {column}, of level {level}: its own level must be {needed} or more, not {own}"),
    later("no table here has a column {name}"),
    later("the function {name} is not listed"),
    later("the type {name} is not listed, or takes no size"),
    later("{name} must stand within an aggregate: rows are grouped"),
    later("the value of an ordered feature is a number, not {type}"),
    # A formula.
    later("{feature} is compared with a number or a parameter"),
    later("{word} stands only after IS or IS NOT"),
    later("{word} cannot stand here"),
    # Sheets, and drafts of tables.
    later("which sheet? name it: FILE.xlsx#SHEET; it has {sheets}"),
    later("its heading has {title}, which no column is called"),
    later("{rule}; near it: {near}"),
    later("its heading lacks {columns}"),
    later("its heading has {column} ({title}) twice"),
    later("{found} fields, and the heading has {wanted}"),
    later("no value for {name}"),
    later("{names}: no table of these types; they have {tables}"),
    later("{name}: no table of the draft; it has {tables}"),
    later("a column is added as {form}, of the types {types}"),
    later("the column {name} holds no plain values"),
    later("it is not after {column}"),
    later("it is the sum of {columns}"),
)
"""The same, with values in them; the code that gives one holds its words."""
