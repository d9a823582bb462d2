"""A bank's side of a federated training: what it keeps, what it verifies, how it takes part."""
