"""What ranks do with their shards' gradients: each pass goes over the fixed chunks of one rank's part.

A gradient plane holds the sum of one node of the shards' tree. All planes of a host lie in memory that its
ranks share, and of every plane a rank reads only its own part.

What another core has read is dear to write again: each line has to be taken from its cache first. An adam
step over 51,248 parameters took 19 microseconds where nobody looked, and 215 where another rank had read
them; writing to lines that were asked for (`prefetchw`) helped nothing. So everything is worked out in a
rank's own memory and then streamed past the caches to where the others read it (14 microseconds, and 12 more
to read from there).
"""

import numpy as np
from numba import njit, prange

from grapheme_numba.jit import PARALLEL, SERIAL
from grapheme_numba.kernels.engine.simd import ONE, fence, vlanes, vload, vstream
from grapheme_numba.kernels.engine.updates import CHUNK, apply, bounds_of, squares


@njit(**PARALLEL)
def hand_over(own, values_out, public_out):
    """Move `values_out` (n,) to `public_out` (n,), which starts on a cache line; zeros stay behind.

    What stands in the chunks own[0] <= chunk < own[1] this rank alone will read: it stays in the cache.
    """
    n = values_out.size
    for index in prange((n + CHUNK - 1) // CHUNK):
        chunk = np.int64(index)
        first, stop = bounds_of(chunk, n)
        values, public = values_out[first:stop], public_out[first:stop]
        if own[0] <= chunk < own[1]:
            public[:] = values
        else:
            _stream(values, public)
        values[:] = 0


@njit(**SERIAL)
def _stream(values, public_out):
    lanes = vlanes(values)
    whole = values.size // lanes * lanes
    for i in range(0, whole, lanes):
        vstream(public_out, i, vload(values, i, ONE))
    for i in range(whole, values.size):
        public_out[i] = values[i]
    fence(public_out)


@njit(**PARALLEL)
def step(rule, gradient, rates, moments, squares_out, own_out, public_out):
    """`updates.step` on this rank's parameters `own_out` (n,), which then are copied to where others read them.

    `squares_out` (n_chunk,) float64 receives their squares by chunk. `public_out` (n,) starts on a cache line
    and is not read: what is streamed there has left the caches.
    """
    n, (mu, nu) = own_out.size, moments
    for index in prange((n + CHUNK - 1) // CHUNK):
        chunk = np.int64(index)
        first, stop = bounds_of(chunk, n)
        p = own_out[first:stop]
        apply(rule, gradient[first:stop], rates, p, mu[first:stop], nu[first:stop])
        squares_out[chunk] = squares(p)
        _stream(p, public_out[first:stop])


@njit(**PARALLEL)
def fold(planes, additions, chunks):
    """`planes[a] += planes[b]` for every row (a, b) of `additions`, in order, on chunks[0] <= chunk < chunks[1].

    planes : (n_plane, n) float, overwritten; additions : (n_addition, 2) int64
    """
    n = planes.shape[1]
    for index in prange(chunks[1] - chunks[0]):
        chunk = chunks[0] + np.int64(index)
        start, stop = bounds_of(chunk, n)
        for k in range(additions.shape[0]):
            _add(planes[additions[k, 1], start:stop], planes[additions[k, 0], start:stop])


@njit(**PARALLEL)
def fold_into(planes, additions, last, chunks, shift, fresh, total_out, squares_out):
    """`fold`, then total = [total +] planes[last[0]] [+ planes[last[1]]], and the total's squares by chunk.

    planes : (n_plane, width) float, overwritten; its column 0 is element `shift` of `total_out` (n,)
    last : (row, row or -1), the tree's last addition; fresh : whether the total begins anew
    squares_out : (n_chunk,) float64, those of chunks[0] <= chunk < chunks[1] are written
    """
    n = total_out.size
    for index in prange(chunks[1] - chunks[0]):
        chunk = chunks[0] + np.int64(index)
        start, stop = bounds_of(chunk, n)
        total, first, end = total_out[start:stop], start - shift, stop - shift
        for k in range(additions.shape[0]):
            _add(planes[additions[k, 1], first:end], planes[additions[k, 0], first:end])
        left = planes[last[0], first:end]
        if last[1] >= 0:
            _join(left, planes[last[1], first:end], fresh, total)
        elif fresh:
            total[:] = left
        else:
            _add(left, total)
        squares_out[chunk] = squares(total)


@njit(**SERIAL)
def _add(terms, sums):
    for i in range(sums.size):
        sums[i] += terms[i]


@njit(**SERIAL)
def _join(left, right, fresh, total):
    if fresh:
        for i in range(total.size):
            total[i] = left[i] + right[i]
    else:
        for i in range(total.size):
            total[i] += left[i] + right[i]


@njit(**PARALLEL)
def chunk_squares(vector, chunks, squares_out):
    """The sum of squares of every chunk chunks[0] <= chunk < chunks[1] of `vector` (n,), as float64."""
    n = vector.size
    for index in prange(chunks[1] - chunks[0]):
        chunk = chunks[0] + np.int64(index)
        first, stop = bounds_of(chunk, n)
        squares_out[chunk] = squares(vector[first:stop])
