"""From tokens, values and slices to the inputs of the network, and the embedding's gradient back.

Embedding rows in and their gradients back.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit, prange

from grapheme_numba.jit import INLINE, PARALLEL, SERIAL
from grapheme_numba.kernels.codec.text_tokens import NUMBER

TEXT = 0  # the kind of a text domain in `Layout.input_kind`; every other kind reads `values`


class Slots(NamedTuple):
    """Where the examples of each of D domains enter: (D,) int32 each.

    kind : of input, `TEXT` or not; start, width : first input and number of inputs
    n_token : tokens of a text; n_bag : embedding rows that a bucket of its words has, 0 without words
    """

    kind: np.ndarray
    start: np.ndarray
    width: np.ndarray
    n_token: np.ndarray
    n_bag: np.ndarray


@njit(**INLINE)
def bag_weight(tokens, i, first):
    """(n, 1 / sqrt(n)) of the n buckets of words of example i, which stand in its tokens from `first` on."""
    n = 0
    while first + n < tokens.shape[1] and tokens[i, first + n] > 0:
        n += 1
    return n, 1.0 / math.sqrt(max(n, 1))


@njit(**PARALLEL)
def assemble_inputs(domain, tokens, values, slots, embedding, x_out):
    """Write each example into its own input slice; all other inputs are 0.

    A text enters token by token: an embedding row each, of a number with its value in the last place; then the sum of
    the rows of its words, over the root of their number. Padding enters as zeros, not as a row of the embedding.

    Parameters
    ----------
    domain : (batch,) int
    tokens : (batch, n) int
        As `Batch.tokens`.
    values : (batch, value_width) float
    slots : Slots
    embedding : (vocab_size, dim) float
    x_out : (batch, n_input) float
        Overwritten whole.
    """
    dim = embedding.shape[1]
    for i in prange(domain.shape[0]):
        x_out[i, :] = 0.0
        d = domain[i]
        first = slots.start[d]
        if slots.kind[d] == TEXT:
            n_token = slots.n_token[d]
            for p in range(min(n_token, tokens.shape[1])):
                token = tokens[i, p]
                if token > 0:
                    for k in range(dim):
                        x_out[i, first + p * dim + k] = embedding[token, k]
                    if token == NUMBER:
                        x_out[i, first + (p + 1) * dim - 1] = values[i, p]
            width = slots.n_bag[d] * dim
            if width > 0:
                n, weight = bag_weight(tokens, i, n_token)
                bag = first + n_token * dim
                for p in range(n_token, n_token + n):
                    row = NUMBER + 1 + (tokens[i, p] - 1) * slots.n_bag[d]
                    for k in range(width):
                        x_out[i, bag + k] += weight * embedding[row + k // dim, k % dim]
        else:
            for k in range(min(slots.width[d], values.shape[1])):
                x_out[i, first + k] = values[i, k]


@njit(**PARALLEL)
def embedding_grad_parts(domain, tokens, slots, gx, parts_out):
    """Sum dL/dx into embedding rows, one table per part of the batch.

    The parts are fixed runs of examples, a function of the batch size alone, so that the order of
    additions does not follow the thread count. One table per part costs memory, but a gather by
    embedding row would read every token once per row.

    Parameters
    ----------
    domain, tokens, slots
        As in `assemble_inputs`.
    gx : (batch, n_input) float
        dL/dx.
    parts_out : (n_part, vocab_size, dim) float
        Overwritten.
    """
    n_part, _, dim = parts_out.shape
    n = domain.shape[0]
    for part in prange(n_part):
        parts_out[part, :, :] = 0.0
        for i in range(n * part // n_part, n * (part + 1) // n_part):
            d = domain[i]
            if slots.kind[d] != TEXT:
                continue
            first, n_token = slots.start[d], slots.n_token[d]
            for p in range(min(n_token, tokens.shape[1])):
                token = tokens[i, p]
                if token > 0:
                    for k in range(dim - (token == NUMBER)):
                        parts_out[part, token, k] += gx[i, first + p * dim + k]
            width = slots.n_bag[d] * dim
            if width > 0:
                n_word, weight = bag_weight(tokens, i, n_token)
                bag = first + n_token * dim
                for p in range(n_token, n_token + n_word):
                    row = NUMBER + 1 + (tokens[i, p] - 1) * slots.n_bag[d]
                    for k in range(width):
                        parts_out[part, row + k // dim, k % dim] += weight * gx[i, bag + k]


@njit(**PARALLEL)
def add_parts(parts, total_out):
    """Add the tables `parts` (n_part, vocab_size, dim), in order, to `total_out` (vocab_size, dim)."""
    for row in prange(total_out.shape[0]):
        for k in range(total_out.shape[1]):
            total = np.float64(0.0)
            for part in range(parts.shape[0]):
                total += parts[part, row, k]
            total_out[row, k] += total


@njit(**PARALLEL)
def lookup(weights, ids, vectors_out):
    """`vectors_out[i] = weights[ids[i]]` for flat `ids` (n,) and `vectors_out` (n, dim)."""
    for i in prange(ids.size):
        for column in range(weights.shape[1]):
            vectors_out[i, column] = weights[ids[i], column]


@njit(**SERIAL)
def add_rows(ids, gradients, grads_out):
    """`grads_out[ids[i]] += gradients[i]`, in order: repeats of an id share a row, so one thread does it."""
    for i in range(ids.size):
        row = np.int64(ids[i])
        for column in range(grads_out.shape[1]):
            grads_out[row, column] += gradients[i, column]
