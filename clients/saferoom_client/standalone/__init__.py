"""The verifier of receipts that needs nothing of ours: one file, shipped as it is.

Nothing of ours imports it, nor it anything of ours. `saferoom receipt verifier` prints it, for who
keeps receipts longer than software, or trusts no program of the room's that it has not read.
"""
