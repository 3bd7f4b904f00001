"""The passes on the named graphs: `pytest benchmarks -k "passes and batch=256" --benchmark-group-by=param:case`."""

import pytest

from grapheme_numba.bench.cases import BATCHES
from grapheme_numba.bench.kernels import MOST_BYTES, PASSES, needed_bytes, step_calls
from grapheme_numba.bench.suite import KERNEL_CASES

LARGE = 20_000_000_000  # edge samples of one call: above this a single measurement takes many seconds


@pytest.mark.parametrize("count", [1, 2], ids=lambda n: f"threads={n}")
@pytest.mark.parametrize("name", PASSES)
@pytest.mark.parametrize("batch", BATCHES, ids=lambda n: f"batch={n}")
@pytest.mark.parametrize("case", KERNEL_CASES)
def test_pass(benchmark, network, threads, case, batch, name, count):
    """One pass: rate = edges * batch / time."""
    net = network(case)
    if needed_bytes(net, batch) > MOST_BYTES or net.n_edge * batch > LARGE:
        pytest.skip("this batch would take more than 5 GiB or many seconds a call")
    threads(count)
    calls = step_calls(net, batch)
    calls["step"]()  # Numba compilation, and a forward pass for the backward pass to go back from
    benchmark.extra_info["edge_samples"] = net.n_edge * batch
    benchmark(calls[name])
