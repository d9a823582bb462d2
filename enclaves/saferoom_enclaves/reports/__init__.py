"""What is public by law, of one subject or as a list: asked, admitted, read, released.

    approved   the plan, as this owner's approvers signed it, held to the schema's levels
    admit      who asks, and whether it may            Asked, AdmittedReport
    disputed   which columns a subject disputes
    listing    a page of a list, as a child reads it
    shown      on which pages a subject was told
    gate       read under seal, and let out            SealedReport, ReleasedReport
    desk       the steps in their order
    service    over gRPC: a few at a time

Nothing is charged and no consent is asked: what is told is of level 1, and logged.
"""
