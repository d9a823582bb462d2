"""The switchboard and notary: passes questions on, and keeps the log of what became of them."""
