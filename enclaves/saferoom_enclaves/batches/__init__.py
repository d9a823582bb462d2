"""Batches: many rows under one signed request (`docs/life-of-a-batch.md` has the steps).

rows            they are those that were signed                          step 2
admit           which are allowed                                        step 3
charge          they are paid for before a record is looked at           step 4
gate            answered under seal, and let out in one way              steps 5 and 6
chunk           all these for one chunk, in one transaction
progress        how far a batch is, sealed row by row
about_subjects  which rows are about a subject, for that subject alone
desk            chunk by chunk, and one signed word at the end; `service` over gRPC
"""
