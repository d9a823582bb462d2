"""Scores: in which of the approved bands a model's points put a subject.

banding   tells it of every subject, in a child
index     what came of that, and what the child is told to make it of
bands     of each approved score, computed over the whole store beside the work, then looked up
"""
