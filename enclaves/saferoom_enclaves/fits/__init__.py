"""Trainings in the room: asked by a signed request, fitted by a child, kept here, told sealed.

approved    the template and certificate that this owner's approvers signed   ApprovedFit
admit       whose request it is, and whether it is allowed                    AdmittedFit
charge      it is one of the runs that there may be                           ChargedFit
work        a child fits it, over the store
gate        under seal, then what may be told: sealed to the asker, signed    ReleasedFit
desk        the steps in order

What a child does is in `fitting.py`; the arithmetic in `saferoom_models.pooled`.
"""
