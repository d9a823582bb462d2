"""A bank's scorecards: fitted on its own rows, kept as a file, read, exported and applied.

No room is needed, but for a card of a joint model's own half.
"""
