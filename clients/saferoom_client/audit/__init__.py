"""The auditor: reads the whole log, and judges every word in it by what stood there before it.

It trusts nobody in the room: only the keys that its folder pins. What the log does not hold it
cannot judge: the records; and questions, but for those that a receipt opens.

entries.py    what owners, banks, subjects and issuers say
streams.py    what each enclave had heard
words.py      what enclaves and the room say
spending.py   what was charged, in the order of each enclave's chain
accounts.py   what each group was charged about each subject
questions.py  receipts, and the questions that they open
rows.py       rows of batches that they open
report.py     the page for people
"""
