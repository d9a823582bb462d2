"""Logistic regression over several banks that hold the same columns of different subjects.

Each bank sums over its own rows; only the sum over all banks is ever seen (Bonawitz and others,
Practical secure aggregation for privacy-preserving machine learning, CCS 2017).
"""
