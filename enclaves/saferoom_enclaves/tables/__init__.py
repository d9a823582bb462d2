"""Tables of everybody together: asked by a signed request, protected, sealed to the asker.

    approved    the template and certificate that this owner's approvers signed   ApprovedTables
    admit       whose request it is, and whether it is allowed                    AdmittedTable
    shown       what became of cells, as it is kept
    account     what was released about the same records before
    privacy     the ledger of epsilon, and the numbers that were told with noise
    charge      the account is there, and the plan goes with it                   ChargedTable
    gate        made by a child, under seal; then sealed to the asker, signed     ReleasedTables
    desk        the steps in order; `made_calls` goes them over gRPC

What a child does is in `tabulating.py`; the rules in `saferoom_enclaves.statistics`.
"""
