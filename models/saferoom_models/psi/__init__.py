"""Private set intersection: two sides find their common subjects, and learn of no others.

ECDH on X25519, as `docs/joint-training.md` tells it. Each side is a machine that exchanges bytes;
who carries them, and who judges the intersection before it is told on, is not decided here.
"""
