"""Protected statistics: tables about many subjects that tell nothing about few.

Arithmetic on arrays of one owner's features, without a file, a socket or a clock
(docs/statistics.md). One way through, each step in its own module:

    lattice     the cells of all margins, numbered, and which sum to which
    groups      which subjects are one legal group
    tabulate    subjects counted and added up, cell by cell
    watched     tables that nobody asked for, and that those which were asked for tell of
    fixed       small sets whose number published cells fix, by integer programmes
    primary     which cells are too small, dominated, or tell what all in them share
    moves       what else is withheld, so that each of them could be otherwise; exact
    pairs       two published sets that differ by a few subjects
    guard       these in order, for the counts or the sums of one variable
    audit       the same once more by another way: what an intruder can derive, by linear programmes
    protect     a plan as a whole, after what was released before
    publish     rounded numbers, and WITHHELD

Where a plan has noise in the place of rules:

    laplace     discrete Laplace noise, made and reckoned by OpenDP
    noise       exact numbers of all margins, blurred; and what is made of them

What is asked, the rules, and what to expect of a plan are the contract's (`saferoom_proto.tables`).
"""
