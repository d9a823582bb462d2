"""The messages and services, generated from the protos beside them."""
