"""A bank's half of a job of joint training: its rows, its messages, and what it can tell of them.

What computes is in `saferoom_models`, with the extra `saferoom[modelling]`, and imported where it
is needed: the light client has no numerical library.
"""
