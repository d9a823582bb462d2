"""Joint training with a bank that brings the label: what an enclave does of it.

    uses        the templates and certificates that this owner's approvers signed
    admit       may a job begin, and may it go on
    charge      it is one of the jobs that there may be
    partners    it differs from no earlier one by a few subjects
    book, kept  how each job stands, in memory and on disk, sealed
    ground      the store it began with, and that it may go on
    course      one message after another, each answered once; `line` hears them in pieces
    work        what children do: align, read columns, train
    model       which weights are of which owner's columns
    gate        that it may begin, and how it ended, signed
    desk        which may begin, which there are, how one is ended; `service`, `wire` over gRPC

Of several owners, one hosts (`hosting`, `others`) and the rest give (`giving`, `columns`);
`peers` tells which enclaves they are, `between` what they say to each other.
"""
