"""One servicer for each service of the contract: messages in, steps elsewhere, messages out."""
