"""Federated trainings in the room: what banks say is recorded, their messages are carried.

rules     when the room accepts what banks say of one
run       one under way: who has sent what, and when a step ends
desk      all of them
"""
