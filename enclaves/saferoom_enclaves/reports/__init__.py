"""Reports of what is public by law about one subject: asked, admitted, read, released.

    approved   the plan, as this owner's approvers signed it, held to the schema's levels
    admit      who asks, and whether it may            Asked, AdmittedReport
    disputed   which columns the subject disputes
    gate       read under seal, and let out            SealedReport, ReleasedReport
    desk       the steps in their order
    service    over gRPC: a few at a time

Nothing is charged and no consent is asked: what is told is of level 1, and logged.
"""
