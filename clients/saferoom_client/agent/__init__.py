"""The key agent: a small program at the owner that holds the store's key.

It gives the key, sealed, only to an enclave whose evidence and charter it accepts, signs the
endorsement that everybody else rests on, and is asked again at every start of the enclave.
"""
