"""The append-only log: entries in a Merkle tree, committed in groups, proven to anyone."""
