"""From tokens, values and slices to the inputs of the network, and the embedding's gradient back.

Embedding rows in and their gradients back.
"""

import numpy as np
from numba import njit, prange

from grapheme_numba.jit import PARALLEL, SERIAL

TEXT = 0  # the kind of a text domain in `Layout.input_kind`; every other kind reads `values`


@njit(**PARALLEL)
def assemble_inputs(domain, tokens, values, kind, start, width, embedding, x_out):
    """Write each example into its own input slice; all other inputs are 0.

    Parameters
    ----------
    domain : (batch,) int
    tokens : (batch, text_length) int
        Byte + 1, or 0 for padding: padding enters as zeros, not as a row of the embedding.
    values : (batch, value_width) float
    kind, start, width : (n_domain,) int
        Kind of input (`TEXT` or not), first input and number of inputs of every domain.
    embedding : (vocab_size, dim) float
    x_out : (batch, n_input) float
        Overwritten whole.
    """
    dim = embedding.shape[1]
    for i in prange(domain.shape[0]):
        x_out[i, :] = 0.0
        d = domain[i]
        first = start[d]
        if kind[d] == TEXT:
            for p in range(min(width[d] // dim, tokens.shape[1])):
                token = tokens[i, p]
                if token > 0:
                    for k in range(dim):
                        x_out[i, first + p * dim + k] = embedding[token, k]
        else:
            for k in range(min(width[d], values.shape[1])):
                x_out[i, first + k] = values[i, k]


@njit(**PARALLEL)
def embedding_grad_parts(domain, tokens, kind, start, width, gx, parts_out):
    """Sum dL/dx into embedding rows, one table per part of the batch.

    The parts are fixed runs of examples, a function of the batch size alone, so that the order of
    additions does not follow the thread count. One table per part costs memory, but a gather by
    embedding row would read every token once per row.

    Parameters
    ----------
    domain, tokens, kind, start, width
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
            if kind[d] == TEXT:
                first = start[d]
                for p in range(min(width[d] // dim, tokens.shape[1])):
                    token = tokens[i, p]
                    if token > 0:
                        for k in range(dim):
                            parts_out[part, token, k] += gx[i, first + p * dim + k]


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
