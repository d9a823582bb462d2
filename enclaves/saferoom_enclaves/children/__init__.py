"""Throw-away children: where DuckDB runs, and whatever else reads bytes that others made.

An enclave may start no process. Before its sandbox closes it forks a **fork server**, which
confines itself too and makes a child for each job it is asked for. A child holds no key and no
state, reaches no file but the interpreter's, and gets what it works on as descriptors of memory
that cannot be written. It is bounded from outside: in address space, processor time and output by
the kernel, in time by the fork server. What it answers is checked by the enclave (`jobs`), and it
ends with its job.

    in the enclave       `workshop`: asks for a child, talks with it, is told how it ended
    in the fork server   `forkserver`: forks, waits, kills; imports nothing heavy
    in a child           `child`: closes everything, then runs one job of `work`
    between them         `bounds`, `frames`, `jobs`
"""
