"""Charts and drawings: every number where it belongs, few points, and nothing lost that matters."""

import re

import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import grapheme_numba as gn
from grapheme_numba.report.pages.axes import SIDE, axis_of, linear_ticks, log_ticks, whole_ticks
from grapheme_numba.report.pages.charts import MOST_POINTS, Line, bar_chart, line_chart, thinned
from grapheme_numba.report.pages.drawing import draw_nodes
from grapheme_numba.report.pages.flow import blocks_of, draw_flow, edge_counts
from grapheme_numba.report.pages.numbers import compact, duration, number, share
from grapheme_numba.report.pages.topology import Graph, Slice, degree_bars, level_bars, topology_charts, weight_bars

sizes = st.floats(1e-12, 1e12)


@given(st.lists(sizes, min_size=1, max_size=5), st.booleans())
def test_an_axis_holds_its_values_and_its_ticks(values, log):
    axis = axis_of(values, log=log, from_zero=not log)
    places = [axis.at(value) for value in [*values, *axis.ticks()]]
    assert all(0 <= place <= SIDE for place in places)
    assert 1 <= len(axis.ticks()) <= 9
    assert axis.at(max(values)) >= axis.at(min(values))


@given(st.integers(1, 10**6), st.integers(0, 10**6))
def test_epochs_are_whole_and_show_both_ends(first, more):
    ticks = whole_ticks(first - 0.5, first + 0.5) if not more else whole_ticks(first, first + more)
    assert ticks[0] == first
    assert ticks[-1] == first + more
    assert all(tick == int(tick) for tick in ticks)
    assert ticks == sorted(set(ticks))


def test_ticks_are_round():
    assert linear_ticks(0, 100) == [0, 20, 40, 60, 80, 100]
    assert log_ticks(0.004, 2.5) == pytest.approx([0.01, 0.1, 1])
    assert log_ticks(0.21, 0.29) == pytest.approx(linear_ticks(0.21, 0.29, 4))


def test_numbers_are_short():
    shown = [compact(v) for v in (0, 0.05, 1e-5, 12.5, 5000, 100_000, 2_500_000, 98_456, -3e9)]
    assert shown == ["0", "0.05", "1e-5", "12.5", "5,000", "100k", "2.5M", "98.5k", "-3G"]
    assert [number(v) for v in (None, 7, 0.08418, 7.11e-5, 1.0, 12345.6)] == [
        "–",
        "7",
        "0.08418",
        "7.11e-5",
        "1",
        "12,346",
    ]
    assert number(float("nan")) == "not finite"
    assert [share(v) for v in (None, 1, 0.9999, 0.082, 0)] == ["–", "100 %", "99.9 %", "8.2 %", "0.0 %"]
    assert [duration(s) for s in (6.43, 100, 3723)] == ["6.4 s", "1 min 40 s", "1 h 02 min"]


@pytest.mark.parametrize("n", [1, 2, MOST_POINTS, MOST_POINTS + 1, 1000, 12345])
def test_thinning_keeps_the_ends_the_order_and_the_extremes(n, rng):
    ys = rng.integers(0, SIDE, n).tolist()
    points = list(enumerate(ys))
    thin = thinned(points)
    assert len(thin) <= MOST_POINTS + 2
    assert thin[0] == points[0]
    assert thin[-1] == points[-1]
    assert thin == sorted(set(thin) & set(points))
    assert {min(ys), max(ys)} <= {y for _, y in thin}


def test_a_line_stands_where_its_values_are_and_breaks_where_they_are_not():
    chart = line_chart("t", [Line("a", [(1, 0.0), (2, 10.0), (3, None), (4, 5.0), (5, float("nan")), (6, 10.0)])])
    path = re.search(r'class="line validation" d="([^"]*)"', chart)[1]
    top = SIDE - round(SIDE / 1.04)
    assert path == f"M0 1000L200 {top}M600 {round((SIDE + top) / 2)}h.1M1000 {top}h.1"
    assert "a from 0 to 10 at epoch 6, lowest 0, highest 10" in chart


def test_a_chart_of_nothing_is_nothing():
    assert line_chart("t", [Line("a", []), Line("b", [(1, None), (2, float("inf"))])]) == ""
    assert bar_chart("t", []) == ""


def test_a_zero_among_losses_makes_the_axis_linear():
    assert ">0</span>" in line_chart("t", [Line("a", [(1, 0.5), (2, 0.0)])], log=True)


def test_names_are_escaped():
    chart = line_chart("<b>", [Line('"x"<s>', [(1, 1.0), (2, 2.0)])], note="<u>")
    assert not re.findall(r'<[bsu]>|"x"', chart)


def test_histograms_count_every_node_and_edge(rng):
    degrees = np.concatenate([np.ones(50, int), rng.integers(0, 9, 100), [900]])
    for bars, total in (
        (degree_bars(degrees), 151),
        (degree_bars(degrees[:-1]), 150),
        (degree_bars(np.zeros(4, int)), 4),
    ):
        assert sum(bar.value for bar in bars) == total
        assert len(bars) <= 33
    weights = np.concatenate([rng.normal(size=1000), [np.nan, np.inf]]).astype(np.float32)
    assert sum(bar.value for bar in weight_bars(weights)) == 1000
    assert weight_bars(np.zeros(5, np.float32)) == []
    assert len(level_bars(np.full(1000, 3))) <= 32


@pytest.fixture
def graph():
    """A random network of 40 nodes, as the pictures see it."""
    network = gn.DagNN.random(40, 150, 6, 4, seed=3)
    network.biases = np.where(np.isin(np.arange(40), network.topology()["inputs"]), 0.0, 0.1).astype(np.float32)
    slices = [Slice("a", 0, 2), Slice("b", 2, 6)], [Slice("a", 0, 1), Slice("b", 1, 4)]
    return Graph(network.dag, network.parameters[:150], None, *slices)


def test_a_small_graph_is_drawn_edge_by_edge(graph):
    drawing = draw_nodes(graph)
    edges = "".join(re.findall(r'class="(?:plus|minus) \w+" d="([^"]*)"', drawing))
    assert edges.count("M") == 150
    nodes = "".join(re.findall(r'class="node [a-z ]+" d="([^"]*)"', drawing))
    assert nodes.count("M") == 40
    named = draw_nodes(graph._replace(names=tuple(f"<{i}>" for i in range(40))))
    assert all(f"<title>&lt;{i}&gt;</title>" in named for i in range(40))


def test_streams_count_the_edges_that_networkx_counts(graph):
    blocks, block_of = blocks_of(graph)
    dag = graph.dag
    assert sum(block.n_node for block in blocks) == dag.n_node
    senders = np.repeat(np.arange(dag.n_node), np.diff(dag.t_indptr))
    reference = networkx.DiGraph(zip(senders.tolist(), dag.t_indices.tolist(), strict=True))
    counts = np.zeros((len(blocks), len(blocks)), int)
    for a, b in reference.edges:
        counts[block_of[a], block_of[b]] += 1
    np.testing.assert_array_equal(edge_counts(dag, block_of, len(blocks)), counts)
    assert "edges" in draw_flow(graph)


def test_large_graphs_are_drawn_in_streams_and_stay_small(rng):
    network = gn.DagNN.layered([64, 256, 256, 256, 8], 32, seed=1)
    graph = Graph(network.dag, network.parameters[: network.n_edge], None, [Slice("a", 0, 64)], [Slice("a", 0, 8)])
    page = topology_charts(graph)
    assert 'class="ribbon"' in page
    assert len(page) < 30_000
