"""Baselines and ours on the same network, as pairs in one group each."""

import pytest

from grapheme_numba.bench import peers

PAIRS = [
    (baseline, case, batch, step, count)
    for baseline, case, batch, counts in peers.PLAN
    for step in peers.BASELINES[baseline].passes
    for count in counts
]


@pytest.mark.parametrize("side", ["ours", "theirs"])
@pytest.mark.parametrize(("baseline", "case", "batch", "step", "count"), PAIRS)
def test_side(benchmark, network, batch_of, threads, baseline, case, batch, step, count, side):
    """One pass of one side, after both have given the same outputs and gradients."""
    if package := peers.missing(baseline):
        pytest.skip(f"{package} is not installed")
    net = network(case)
    x, gy = batch_of(net, batch)
    other = peers.BASELINES[baseline](net, x, gy / batch)
    assert peers.disagreement(other, net, x, gy / batch) < peers.tolerance(net)
    threads(count)
    calls = {"ours": peers.our_calls(net, x, gy / batch)[step], "theirs": getattr(other, step)}
    calls[side]()
    benchmark.group = f"{baseline} {case} {step} threads={count}"
    benchmark.extra_info["edge_samples"] = net.n_edge * (batch if side == "ours" else other.n_example)
    benchmark(calls[side])
