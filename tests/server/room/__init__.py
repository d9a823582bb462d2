"""Opens a real room over the simulated world: real server, real TLS, fake enclaves."""
