"""scikit-learn ships no types; tests and benchmarks use these few of its names."""
