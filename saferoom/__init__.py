"""The switchboard and notary: passes questions on, and keeps the log of what became of them.

Who imports it does not fork with gRPC: enclaves are started by fork and exec at once. gRPC's own
fork handlers stop its threads before each fork, and wait, with the interpreter's lock, for one
that may wait for that lock itself: whoever dials in while an enclave starts has it fetch the
server's certificates (`saferoom/inforce.py`). Then nothing answers any more.
"""

import os

# Read by gRPC's core when its first channel or server is made (its doc/environment_variables.md).
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
