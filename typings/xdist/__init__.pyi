"""pytest-xdist ships no marker of its types; tests use these two of its modules."""
