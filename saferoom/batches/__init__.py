"""Batches in the room: passed to the enclaves, recorded, and then told to their asker.

desk      the whole of it
pieces    between the room and an enclave; `wire` between the room and the asker
"""
