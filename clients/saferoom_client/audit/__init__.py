"""The auditor: reads the whole log, and judges every word in it by what stood there before it.

It trusts nobody in the room: only the keys that its folder pins. What the log does not hold (the
questions themselves, the records) it cannot judge; replaying every charge is left to the notary.
"""
