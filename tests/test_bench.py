"""The measuring itself: cases, ceilings, timings, records; and that baselines compute what we compute."""

import json
from typing import NamedTuple

import numpy as np
import pytest

from grapheme_numba import errors
from grapheme_numba.bench import cases, kernels, peers, records, suite, timing
from grapheme_numba.bench.baselines import ordered
from grapheme_numba.bench.cases import Case
from grapheme_numba.graph import topologies
from grapheme_numba.kernels.bench import baselines
from grapheme_numba.kernels.bench.baselines import gather_rows

SMALL = {
    "layers": Case("layers", "", lambda: topologies.layered([24, 30, 20, 28], 6, seed=1)),
    "jumps": Case("jumps", "", lambda: cases.irregular(90, 5, 12, seed=2)),
}


@pytest.fixture
def at_once(monkeypatch):
    """Measurements as short as they can be."""
    monkeypatch.setattr(timing, "MIN_SECONDS", 0.0)


def test_case_names_are_unique_and_their_graphs_are_as_told():
    assert list(cases.CASES) == [case.name for case in cases.CASES.values()]
    wanted = {
        "layered-10x1000x32": (10_000, 288_000),
        "irregular-20k-400k": (20_000, 394_880),
        "layered-8x1024x20": (8192, 143_360),
        "chain-500x8": (4008, 32_000),
        "classifier-64-128-10": (202, 9472),
    }
    for name, (n_node, n_edge) in wanted.items():
        senders, receivers, *_, count = cases.find_case(name).edges()
        assert (count, len(senders), len(receivers)) == (n_node, n_edge, n_edge)


def test_irregular_graphs_have_distinct_senders_before_the_receiver():
    senders, receivers, inputs, outputs, n_node = cases.irregular(60, 7, 10)
    assert (senders < receivers).all()
    assert (np.bincount(receivers, minlength=n_node)[10:] == 7).all()
    assert len({*zip(senders.tolist(), receivers.tolist())}) == len(senders)
    assert (inputs.tolist(), outputs.tolist()) == (list(range(10)), list(range(10, 60)))


def test_an_unknown_case_is_named_with_the_known_ones():
    with pytest.raises(errors.UsageError, match=r"no case 'layred'; choose from layered-10x1000x32, "):
        cases.find_case("layred")


@pytest.mark.parametrize("width", [16, 32, 64])
@pytest.mark.parametrize("n_thread", [1, 2])
def test_the_ceiling_kernel_really_reads_every_row(rng, width, n_thread):
    rows = rng.random((n_thread, 24, width), np.float32)
    order = np.stack([rng.permutation(24) for _ in range(n_thread)]).astype(np.int32)
    sums = np.empty((n_thread, width), np.float32)
    gather_rows(rows, order, 3, sums)
    np.testing.assert_allclose(sums, 1.5 * rows.sum(axis=1), rtol=1e-5)


def test_ceilings_name_level_width_and_threads(at_once, monkeypatch):
    monkeypatch.setattr(kernels, "LEVELS", {"L1": 4096, "L2": 8192})
    found = kernels.ceilings(levels=("L1", "L2"))
    assert {(one.level, one.width) for one in found} == {(level, w) for level in ("L1", "L2") for w in (16, 32, 64)}
    assert all(one.rate > 0 for one in found)
    assert kernels.best(found, "L1") == max(one.rate for one in found[:3])


def test_timings_are_medians_with_their_spread():
    assert timing.timing_of([3.0, 1.0, 2.0]) == timing.Timing(2.0, 1.0, 3.0)
    assert timing.ratio_of([1.0, 2.0, 4.0], [2.0, 8.0, 4.0]) == timing.Ratio(2.0, 1.0, 4.0)


def test_the_cpu_clock_counts_processor_time(monkeypatch):
    ticks = iter(range(0, 1000, 6))
    monkeypatch.setattr(timing, "CLOCKS", {"cpu": lambda: next(ticks)})
    rows = list(kernels.rates_of(SMALL["layers"], [5], [1], clock="cpu"))
    assert {row.seconds for row in rows} == {6.0}


def test_calls_take_turns(monkeypatch):
    seen = []
    monkeypatch.setattr(timing, "MIN_SECONDS", 0.0)
    result = timing.interleave({"a": lambda: seen.append("a"), "b": lambda: seen.append("b")}, repeat=2)
    assert "".join(seen) == "aabb" + "ab" * 5
    assert len(result["a"][1]) == 5


@pytest.mark.parametrize("clock", timing.CLOCKS)
def test_rates_of_a_case(at_once, clock):
    rows = list(kernels.rates_of(SMALL["layers"], [1, 20], [1, 2], clock=clock))
    assert [(row.batch, row.threads, row.step) for row in rows] == [
        (batch, count, step) for batch in (1, 20) for count in (1, 2) for step in ("forward", "backward", "step")
    ]
    for row in rows:
        assert 0 < row.low <= row.rate <= row.high
        assert row.of_l2 > 0 < row.of_own
        assert row.rate == pytest.approx(468 * row.batch / row.seconds / 1e9)


def test_a_batch_too_large_for_memory_is_left_out(at_once, monkeypatch):
    monkeypatch.setattr(kernels, "MOST_BYTES", 8 * 102 * 10)
    assert {row.batch for row in kernels.rates_of(SMALL["layers"], [10, 11], [1])} == {10}


@pytest.mark.parametrize("case", SMALL)
def test_the_ordered_graph_is_the_same_graph(case):
    network = cases.network_of(SMALL[case])
    graph, topology = ordered(network), network.topology()
    receivers = np.repeat(np.arange(network.n_node), np.diff(graph.indptr))
    number = np.empty(network.n_node, int)
    number[network.dag.node_order] = np.arange(network.n_node)
    assert np.array_equal(number[topology["senders"]][graph.position], graph.indices)
    assert np.array_equal(number[topology["receivers"]][graph.position], receivers)
    assert np.array_equal(network.weights[graph.position], graph.weights)
    assert graph.is_layered == (case == "layers")


def test_dot_products_of_columns(rng):
    values, deltas = rng.random((2, 9, 37), np.float32)
    senders, receivers = np.array([0, 3, 8, 3], np.int32), np.array([1, 4, 0, 8], np.int32)
    found = np.empty(4, np.float32)
    baselines.edge_gradients(values, deltas, senders, receivers, found)
    np.testing.assert_allclose(found, (values[senders] * deltas[receivers]).sum(axis=1), rtol=1e-5)


@pytest.mark.parametrize("name", peers.BASELINES)
@pytest.mark.parametrize("case", SMALL)
def test_baselines_that_run_here_agree_with_us(name, case, at_once):
    if peers.missing(name):
        assert peers.missing(name) in ("torch", "neat")
        return
    network = cases.network_of(SMALL[case])
    if name in ("torch-csr", "torch-masked") and case == "jumps":
        with pytest.raises(errors.GraphError, match=f"{name} runs layers; this graph has edges that skip levels"):
            list(peers.compare(name, "jumps", 33, [1], network=network))
        return
    rows = list(peers.compare(name, case, 33, [1, 2], network=network))
    assert {(row.threads, row.step) for row in rows} == {
        (count, step) for count in (1, 2) for step in peers.BASELINES[name].passes
    }
    for row in rows:
        assert row.error < 1e-5
        assert 0 < row.low <= row.ratio <= row.high


def test_a_baseline_that_computes_something_else_is_not_timed(monkeypatch):
    monkeypatch.setattr(peers.ScipyCsr, "y", lambda self: np.zeros((33, 28), np.float32))
    with pytest.raises(peers.PeerDisagrees, match="scipy-csr and we differ by 1.0e.00 of the result's norm"):
        list(peers.compare("scipy-csr", "layers", 33, [1], network=cases.network_of(SMALL["layers"])))


def test_every_baseline_has_a_place_in_the_plan():
    assert {name for name, *_ in peers.PLAN} == set(peers.BASELINES)
    assert {case for _, case, *_ in peers.PLAN} <= set(cases.CASES)


def test_a_missing_baseline_is_named_and_left_out(monkeypatch):
    monkeypatch.setattr(peers.TorchCsr, "package", "no_such_package")
    record = suite.run_peers(["torch-csr"], ["layered-24x1024x32"], None, [1], 5)
    assert record["rows"] == []
    assert record["left_out"] == ["torch-csr on layered-24x1024x32: no_such_package is not installed"]


def test_an_unknown_baseline_is_refused():
    with pytest.raises(errors.UsageError, match="no baseline 'torhc'; choose from scipy-csr, "):
        suite.run_peers(["torhc"], None, None, [1], 5)


class Timing(NamedTuple):
    what: str
    seed: int
    seconds: float


def test_the_machine_is_described():
    about = records.machine()
    assert about["cores"] >= 1
    assert about["versions"]["numba"] in records.headline(about)
    json.dumps(about)


def test_a_record_is_completed_row_by_row(tmp_path):
    path, asked = tmp_path / "times.json", []

    def measure(seed):
        asked.append(seed)
        return Timing("fit", seed, 0.5)

    def names():
        return [(row["what"], row["seed"]) for row in records.load(path, "times")["rows"]]

    wanted = {("fit", seed): lambda seed=seed: measure(seed) for seed in range(3)}
    some = records.completed(path, "times", Timing, wanted)
    assert [next(some), next(some)] == [Timing("fit", 0, 0.5), Timing("fit", 1, 0.5)]
    assert names() == [("fit", 0), ("fit", 1)]  # saved before the third is measured
    assert list(records.completed(path, "times", Timing, wanted)) == [Timing("fit", 2, 0.5)]
    assert (names(), asked) == ([("fit", 0), ("fit", 1), ("fit", 2)], [0, 1, 2])


def test_records_come_back_and_compare(tmp_path):
    row = kernels.Rate("c", 1, 1, "forward", 1.0, 2.0, 1.0, 3.0, 0.5, 0.5, 16, 64)
    old = records.as_record("kernels", [row])
    records.save(tmp_path / "old.json", old)
    assert records.load(tmp_path / "old.json", "kernels") == json.loads(json.dumps(old))
    new = records.as_record("kernels", [row._replace(rate=3.0), row._replace(batch=2)])
    assert [ratio for *_, ratio in records.changes(new, old)] == [1.5, None]
    assert suite.summary([1.5, None, 6.0]) == pytest.approx(3.0)
    assert suite.summary([None]) is None


def test_files_that_hold_no_measurements(tmp_path):
    path = tmp_path / "x.json"
    with pytest.raises(errors.MissingInputError, match="there is no file .*x.json; give one that --json wrote"):
        records.load(path)
    path.write_text("{")
    with pytest.raises(errors.RecordError, match="x.json is not JSON"):
        records.load(path)
    path.write_text("{}")
    with pytest.raises(errors.RecordError, match="holds no measurements of format 1"):
        records.load(path)
    records.save(path, records.as_record("peers", []))
    with pytest.raises(errors.RecordError, match="written by 'grapheme-bench peers', not by 'kernels'"):
        records.load(path, "kernels")
