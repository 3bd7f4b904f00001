"""SuiteSparse GraphBLAS on the Sparse DNN challenge: product, bias on stored entries, selection, clamp."""

import numpy as np

from grapheme_numba.kernels.bench.challenge import CLAMP

PACKAGE = "graphblas"


class GraphBlas:
    """The challenge's layers and inputs as GraphBLAS matrices; `infer` runs all layers."""

    def __init__(self, layers, x):
        import graphblas

        self.blas, self.biases = graphblas, layers.biases.tolist()
        n_layer, (_, n_neuron) = len(layers.biases), x.shape
        receivers = np.repeat(np.arange(len(layers.indptr) - 1), np.diff(layers.indptr))
        self.weights = []
        for layer in range(n_layer):
            edges = slice(layers.indptr[layer * n_neuron], layers.indptr[(layer + 1) * n_neuron])
            self.weights.append(graphblas.Matrix.from_coo(
                layers.indices[edges], receivers[edges] - layer * n_neuron, layers.weights[edges],
                nrows=n_neuron, ncols=n_neuron,
            ))  # fmt: skip
        rows, columns = np.nonzero(x)
        self.x = graphblas.Matrix.from_coo(rows, columns, x[rows, columns], nrows=len(x), ncols=n_neuron)

    def infer(self, threads=1):
        """Indices of the rows that are categories."""
        blas = self.blas
        blas.ss.config["nthreads"] = threads
        values = self.x
        for weights, bias in zip(self.weights, self.biases):
            values = blas.semiring.plus_times(values @ weights).new()
            values = blas.binary.plus(values, bias).new()
            values = blas.select.valuegt(values, 0.0).new()
            values = blas.binary.min(values, CLAMP).new()
        return values.reduce_rowwise(blas.monoid.any).new().to_coo(values=False)[0].astype(np.int64)
