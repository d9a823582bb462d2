"""Owners' features: which SQL may be one, and what it gives.

sql           the gate: one SELECT over the owner's own tables
tree          DuckDB's own syntax tree, default-deny
expressions   which expressions may stand in it
textual       which of them are text
computed      features as an enclave computes them
"""
