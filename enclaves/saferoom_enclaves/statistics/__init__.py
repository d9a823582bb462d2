"""Protected statistics: tables about many subjects that tell nothing about few.

Arithmetic on arrays of one owner's features, without a file, a socket or a clock
(docs/statistics.md). One way through, each step in its own module:

    lattice     the cells of all margins, numbered, and which sum to which
    tabulate    subjects counted and added up, cell by cell
    watched     the cells that nobody asked for, and that those tell of
    primary     which cells are too small, dominated, or tell what all in them share
    moves       what else is withheld, so that each of them could be otherwise; exact
    pairs       two published sets that differ by a few subjects
    audit       the same once more by another way: what an intruder can derive, by linear programmes
    protect     the steps in order, after what was released before
    publish     rounded numbers, and WITHHELD

What is asked, the rules, and what to expect of a plan are the contract's (`saferoom_proto.tables`).
"""
