"""Ids that people read out: a letter and ten characters without look-alikes, Q-7K2M9XWT4B."""

import secrets

# Crockford's base 32: no I, L, O, U
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 10


def new_id(letter: str) -> str:
    """A fresh random id, e.g. ``new_id("Q")``; 50 bits, so that no two meet in a workspace."""
    return f"{letter}-" + "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
