"""A witness: watches one room's log for its organisation, and cosigns what only grew."""
