"""Damaged copies of a file: bits flipped, bytes cut out, doubled or cut off."""

import random


def mutants(data: bytes, n: int, seed: int):
    """`n` copies of `data` that differ from it."""
    draw, found = random.Random(seed), 0
    while found < n:
        changed = bytearray(data)
        kind = draw.randrange(4)
        at = draw.randrange(len(changed))
        if kind == 0:
            for _ in range(draw.randint(1, 3)):
                changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del changed[at : at + draw.randint(1, 40)]
        elif kind == 2:
            changed[at:at] = changed[at : at + draw.randint(1, 40)]
        else:
            del changed[at:]
        if bytes(changed) != data:
            found += 1
            yield bytes(changed)
