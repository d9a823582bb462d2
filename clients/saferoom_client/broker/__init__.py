"""An owner's broker: asks a provider's HTTPS interface for the enclave, which has no network.

    config.py     whom it may ask, and how much
    provider.py   one request, under mutual TLS
    guards.py     how often it asks, and when it stops asking
    asking.py     one subject: guards, tries, and what came of it
    attend.py     the line to the enclave's socket

It is told a source's name and a subject's code, and asks nothing else of nobody else. It sees what
the provider answers, as whoever ends TLS does; it keeps nothing of it and writes none of it down.
"""
