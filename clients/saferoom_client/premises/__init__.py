"""An enclave on its owner's own premises: what starts it, and what connects it to the room.

supervise.py  starts the enclave under the owner's user, and again when it ends; no network
relay.py      dials the room and carries TLS between it and the enclave's socket; reads nothing
exchange.py   the folder between the two, who need not trust each other
home.py       the supervisor's folder
"""
