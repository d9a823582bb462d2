"""Scorecards as banks know them: bins, weights of evidence, points, measures, and their export.

Data in, data out. Bins come of counts alone, so that counts which passed a gate serve as well as
those of a bank's own rows.
"""
