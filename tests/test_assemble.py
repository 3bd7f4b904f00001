"""Inputs from tokens and values, and the embedding's gradient back, against loops in plain Python."""

import numpy as np
import pytest

from grapheme_numba.kernels.codec.text_tokens import NUMBER
from grapheme_numba.kernels.engine.embedding import TEXT, Slots, add_parts, assemble_inputs, embedding_grad_parts

# Two text domains of 3 and 2 tokens, the second with words of 2 rows each, a sequence of 4, an image of 2; embedding
# rows of 2 numbers.
KIND = np.array([TEXT, 1, TEXT, 2], np.int32)
START = np.array([0, 6, 10, 18], np.int32)
WIDTH = np.array([6, 4, 8, 2], np.int32)
N_TOKEN = np.array([3, 0, 2, 0], np.int32)
N_BAG = np.array([0, 0, 2, 0], np.int32)
SLOTS = Slots(KIND, START, WIDTH, N_TOKEN, N_BAG)
N_INPUT, N_ROW, N_BUCKET = 20, NUMBER + 1 + 2 * 5, 5


def mixed(rng, batch, dtype=np.float64):
    domain = rng.integers(0, 4, batch).astype(np.int32)
    tokens = rng.choice([0, 1, 5, 256, NUMBER], (batch, 6)).astype(np.int32)
    for i, d in enumerate(domain.tolist()):
        n_word = int(rng.integers(0, 4)) if N_BAG[d] else 0
        tokens[i, N_TOKEN[d] :] = 0
        tokens[i, N_TOKEN[d] : N_TOKEN[d] + n_word] = rng.integers(1, N_BUCKET + 1, n_word)
    values = rng.normal(size=(batch, 4)).astype(np.float32)
    return domain, tokens, values, rng.normal(size=(N_ROW, 2)).astype(dtype)


def entries(tokens, d):
    """[(input from the slice's first, embedding row, column, factor)] of a text of domain d, and its number tokens."""
    found, numbers = [], []
    for p in range(N_TOKEN[d]):
        if tokens[p] == NUMBER:
            numbers.append(p)
            found.append((2 * p, NUMBER, 0, 1.0))
        elif tokens[p]:
            found += [(2 * p + k, int(tokens[p]), k, 1.0) for k in range(2)]
    words = [int(token) for token in tokens[N_TOKEN[d] :] if token]
    for word in words:
        for k in range(2 * N_BAG[d]):
            row = NUMBER + 1 + (word - 1) * int(N_BAG[d]) + k // 2
            found.append((2 * int(N_TOKEN[d]) + k, row, k % 2, len(words) ** -0.5))
    return found, numbers


@pytest.mark.parametrize("batch", [1, 5, 200])
def test_each_example_fills_its_own_slice_only(rng, batch):
    domain, tokens, values, embedding = mixed(rng, batch)
    x = np.full((batch, N_INPUT), np.nan)
    assemble_inputs(domain, tokens, values, SLOTS, embedding, x)
    for i, d in enumerate(domain.tolist()):
        expected = np.zeros(N_INPUT)
        if KIND[d] == TEXT:
            found, numbers = entries(tokens[i], d)
            for at, row, column, factor in found:
                expected[START[d] + at] += factor * embedding[row, column]
            for p in numbers:
                expected[START[d] + 2 * p + 1] = values[i, p]
        else:
            expected[START[d] : START[d] + WIDTH[d]] = values[i, : WIDTH[d]]
        np.testing.assert_allclose(x[i], expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("n_part", [1, 3, 16])
def test_the_embedding_gradient_is_the_transpose(rng, n_part):
    batch = 150
    domain, tokens, _, embedding = mixed(rng, batch)
    gx = rng.normal(size=(batch, N_INPUT))
    parts, total = np.full((n_part, *embedding.shape), np.nan), np.ones_like(embedding)
    embedding_grad_parts(domain, tokens, SLOTS, gx, parts)
    add_parts(parts, total)
    expected = np.ones_like(embedding)
    for i, d in enumerate(domain.tolist()):
        for at, row, column, factor in entries(tokens[i], d)[0] if KIND[d] == TEXT else []:
            expected[row, column] += factor * gx[i, START[d] + at]
    np.testing.assert_allclose(total, expected, rtol=1e-12)
    assert np.all(total[0] == 1.0)  # padding has no row to learn
    assert total[NUMBER, 1] == 1.0  # nor has the value of a number


def test_the_same_bits_for_any_number_of_threads(rng, threads):
    domain, tokens, _, _embedding = mixed(rng, 400, np.float32)
    gx = rng.normal(size=(400, N_INPUT)).astype(np.float32)
    seen = set()
    for n in (1, 2):
        threads(n)
        parts, total = np.empty((7, N_ROW, 2), np.float32), np.zeros((N_ROW, 2), np.float32)
        embedding_grad_parts(domain, tokens, SLOTS, gx, parts)
        add_parts(parts, total)
        seen.add(total.tobytes())
    assert len(seen) == 1
