"""The contract: messages, statements, receipts and proofs, which all sides hold."""
