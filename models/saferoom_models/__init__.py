"""Arithmetic on arrays and ciphertexts for joint modelling; imports nothing of ours."""
