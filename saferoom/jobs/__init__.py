"""Jobs of joint training, as the room sees them: sealed messages carried, words recorded.

desk      passed to the enclave that has them
words     what enclaves say of them, verified and recorded before anybody is told
owners    of several owners: ends are spread; `carried` takes what they ask of each other
fits      trainings in the room over several owners, which the host's enclave runs
pieces    between the room and an enclave; `wire` between the room and members
"""
