"""The demo: one room, two owners, a bank and a borrower, with real processes on real records."""
