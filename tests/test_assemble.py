"""Inputs from tokens and values, and the embedding's gradient back, against loops in plain Python."""

import numpy as np
import pytest

from grapheme_numba.kernels.engine.embedding import TEXT, add_parts, assemble_inputs, embedding_grad_parts

# Two text domains of 3 and 2 characters, a sequence of 4, an image of 2; embedding rows of 2 numbers.
KIND = np.array([TEXT, 1, TEXT, 2], np.int32)
START = np.array([0, 6, 10, 14], np.int32)
WIDTH = np.array([6, 4, 4, 2], np.int32)


def mixed(rng, batch, dtype=np.float64):
    domain = rng.integers(0, 4, batch).astype(np.int32)
    tokens = rng.integers(0, 9, (batch, 3)).astype(np.int32)
    tokens[KIND[domain] != TEXT] = 0
    values = rng.normal(size=(batch, 4)).astype(np.float32)
    return domain, tokens, values, rng.normal(size=(9, 2)).astype(dtype)


@pytest.mark.parametrize("batch", [1, 5, 200])
def test_each_example_fills_its_own_slice_only(rng, batch):
    domain, tokens, values, embedding = mixed(rng, batch)
    x = np.full((batch, 16), np.nan)
    assemble_inputs(domain, tokens, values, KIND, START, WIDTH, embedding, x)
    for i, d in enumerate(domain.tolist()):
        expected = [0.0] * 16
        for k in range(WIDTH[d]):
            if KIND[d] == TEXT:
                token = tokens[i, k // 2]
                expected[START[d] + k] = embedding[token, k % 2] if token else 0.0
            else:
                expected[START[d] + k] = float(values[i, k])
        assert x[i].tolist() == expected


@pytest.mark.parametrize("n_part", [1, 3, 16])
def test_the_embedding_gradient_is_the_transpose(rng, n_part):
    batch = 150
    domain, tokens, _, embedding = mixed(rng, batch)
    gx = rng.normal(size=(batch, 16))
    parts, total = np.full((n_part, *embedding.shape), np.nan), np.ones_like(embedding)
    embedding_grad_parts(domain, tokens, KIND, START, WIDTH, gx, parts)
    add_parts(parts, total)
    expected = np.ones_like(embedding)
    for i, d in enumerate(domain.tolist()):
        for k in range(WIDTH[d] if KIND[d] == TEXT else 0):
            if tokens[i, k // 2]:
                expected[tokens[i, k // 2], k % 2] += gx[i, START[d] + k]
    np.testing.assert_allclose(total, expected, rtol=1e-12)
    assert np.all(total[0] == 1.0)  # padding has no row to learn


def test_the_same_bits_for_any_number_of_threads(rng, threads):
    domain, tokens, _, _embedding = mixed(rng, 400, np.float32)
    gx = rng.normal(size=(400, 16)).astype(np.float32)
    seen = set()
    for n in (1, 2):
        threads(n)
        parts, total = np.empty((7, 9, 2), np.float32), np.zeros((9, 2), np.float32)
        embedding_grad_parts(domain, tokens, KIND, START, WIDTH, gx, parts)
        add_parts(parts, total)
        seen.add(total.tobytes())
    assert len(seen) == 1
