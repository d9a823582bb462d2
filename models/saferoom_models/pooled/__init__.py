"""Models of columns that lie in one place, fitted by scikit-learn, as data: weights, or trees.

rows        which rows are held out
logistic    a logistic regression of standardised columns
boosting    histogram gradient boosting of bins that each hold many rows
trees       what comes of that, and how it foretells
bands       rows held out, in bands of their scores
measure     AUC, KS, and how well the rows of training can be told from others
"""
