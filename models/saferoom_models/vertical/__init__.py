"""Logistic regression over columns of two sides by exact encrypted inner products.

`label_side.LabelSide` stands at the bank, `room_side.RoomSide` in the room's job enclave. They
exchange bytes; who carries these is no matter here. The protocol: docs/joint-training.md.
"""
