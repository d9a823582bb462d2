"""The migrations, oldest first. A ledger only goes forward: none of them has a way back."""
