"""Charts and drawings: every number where it belongs, few points, and nothing lost that matters."""

import re
from xml.etree import ElementTree

import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import grapheme_numba as gn
from grapheme_numba.report.figures import (
    LARGE,
    MOST_POINTS,
    SMALL,
    Line,
    decimated,
    histogram,
    line_chart,
    scatter,
)
from grapheme_numba.report.numbers import compact, duration, epoch_ticks, linear_ticks, log_ticks, number, share
from grapheme_numba.report.topology import MOST_COLUMNS, MOST_GROUPS, drawing, groups_of, links

sizes = st.floats(1e-12, 1e12)
NS = ""  # charts stand inside a page and name no namespace


def points_of(svg, kind="validation"):
    """The (x, y) of a line, a list a piece, in the coordinates of the plot."""
    group = ElementTree.fromstring(svg).find(f".//{NS}g[@class='series {kind}']")
    pieces = [re.findall(r"(-?[\d.]+) (-?[\d.]+)", path.get("d")) for path in group.iter(f"{NS}path")]
    return [[(float(x), float(y)) for x, y in piece] for piece in pieces]


@given(st.lists(sizes, min_size=1, max_size=5), st.booleans(), st.sampled_from([LARGE, SMALL]))
def test_a_plot_holds_its_values_and_its_ticks(values, log, size):
    """As high as it is: every point and every number lies within, and larger values lie higher."""
    svg = line_chart("t", [Line("a", list(enumerate(values)))], log=log, size=size)["svg"]
    places = [y for piece in points_of(svg) for _, y in piece]
    assert all(0 <= y <= size[1] for y in places)
    assert len(places) == len(values) + (len(values) == 1)
    assert all(a > b or y >= z - 0.1 for a, y in zip(values, places) for b, z in zip(values, places))
    axis = ElementTree.fromstring(svg).find(f".//{NS}g[@class='axis y always_show']")
    ticks = [float(text.get("y")) for text in axis.iter(f"{NS}text")]
    assert 1 <= len(ticks) <= 9
    assert all(0 <= y <= size[1] for y in ticks)


@given(st.integers(1, 10**6), st.integers(0, 10**6))
def test_epochs_are_whole_and_show_both_ends(first, more):
    ticks = epoch_ticks(first, first + more)
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
    ys = rng.integers(0, 1000, n).tolist()
    points = list(enumerate(ys))
    thin = decimated(points)
    assert len(thin) <= MOST_POINTS + 2
    assert thin[0] == points[0]
    assert thin[-1] == points[-1]
    assert thin == sorted(set(thin) & set(points))
    assert {min(ys), max(ys)} <= {y for _, y in thin}


def test_thinning_keeps_a_gap():
    points = [(x, None if 500 <= x < 520 else 1.0) for x in range(1000)]
    gaps = [x for x, y in decimated(points) if y is None]
    assert gaps and all(500 <= x < 520 for x in gaps)


def test_a_line_stands_where_its_values_are_and_breaks_where_they_are_not():
    values = [(1, 0.0), (2, 10.0), (3, None), (4, 5.0), (5, float("nan")), (6, 10.0)]
    svg = line_chart("t", [Line("a", values)])["svg"]
    (start, end), (lone, again), (last, _) = points_of(svg)
    assert lone == again
    assert lone[1] == pytest.approx((start[1] + end[1]) / 2, abs=0.1)
    assert last[1] == end[1] < start[1]
    assert [end[0] - start[0], lone[0] - start[0], last[0] - start[0]] == pytest.approx(
        [share_of * (last[0] - start[0]) for share_of in (0.2, 0.6, 1.0)], abs=0.2
    )
    assert "a from 0 to 10 at epoch 6, lowest 0, highest 10" in svg
    assert "<title>epoch 4: a 5</title>" in svg


def test_a_chart_of_nothing_is_nothing():
    assert line_chart("t", [Line("a", []), Line("b", [(1, None), (2, float("inf"))])]) is None
    assert histogram("t", np.zeros(0), "nodes")["bars"] == []


def test_a_zero_among_losses_makes_the_axis_linear():
    assert ">0</text>" in line_chart("t", [Line("a", [(1, 0.5), (2, 0.0)])], log=True)["svg"]
    assert ">0</text>" not in line_chart("t", [Line("a", [(1, 0.5), (2, 0.01)])], log=True)["svg"]


def test_names_are_escaped():
    svg = line_chart("<b>", [Line('"x"<s>\x01\ud800', [(1, 1.0), (2, 2.0)])], "<u>")["svg"]
    assert not re.findall(r'<[bsu]>|="[^"]*"x"|[\x01\ud800]', svg)
    assert "&lt;b&gt;. &quot;x&quot;&lt;s&gt;\ufffd\ufffd from 1 to 2" in svg


def test_histograms_count_every_node_and_edge(rng):
    degrees = np.concatenate([np.ones(50, int), rng.integers(0, 9, 100), [900]])
    for values in (degrees, degrees[:-1], np.zeros(4, int), np.array([5])):
        bars = histogram("t", values, "nodes", "with edges:")["bars"]
        assert sum(n for _, n, _ in bars) == len(values)
        assert len(bars) <= 34
    assert ["1", int((degrees == 1).sum()), f"{(degrees == 1).sum()} nodes with edges: 1"] in histogram(
        "t", degrees[:-1], "nodes", "with edges:"
    )["bars"]
    weights = np.concatenate([rng.normal(size=1000), [np.nan, np.inf]]).astype(np.float32)
    assert sum(n for _, n, _ in histogram("t", weights, "weights")["bars"]) == 1000
    assert histogram("t", np.zeros(5, np.float32), "weights")["bars"] == []
    levels = histogram("t", np.arange(1000), "nodes", "of level", np.full(1000, 3))["bars"]
    assert sum(n for _, n, _ in levels) == 3000
    assert len(levels) <= 33


def test_points_stand_where_both_axes_say():
    """Equal numbers lie on the line, larger guesses above it."""
    svg = ElementTree.fromstring(scatter("t", "", [(0.0, 0.0), (5.0, 10.0), (10.0, 10.0)], "w")["svg"])
    (path,) = (path.get("d") for path in svg.iter("path") if path.get("class") == "points")
    (a, b, c) = [(float(x), float(y)) for x, y in re.findall(r"M(-?[\d.]+) (-?[\d.]+)", path)]
    assert b == pytest.approx(((a[0] + c[0]) / 2, c[1]), abs=0.11)
    assert c[0] > a[0] and c[1] < a[1]
    (line,) = points_of(ElementTree.tostring(svg, "unicode"), "fixed")
    assert line == [pytest.approx(a, abs=0.11), pytest.approx(c, abs=0.11)]


@pytest.fixture
def network():
    """A random network of 40 nodes."""
    network = gn.DagNN.random(40, 150, 6, 4, seed=3)
    network.biases = np.where(np.isin(np.arange(40), network.topology()["inputs"]), 0.0, 0.1).astype(np.float32)
    return network


def drawing_of(network, names=None):
    dag, (a, b) = network.dag, (network.n_input, network.n_output)
    brains = [("a", dag.inputs[:2]), ("b", dag.inputs[2:a]), ("a", dag.outputs[:1]), ("b", dag.outputs[1:b])]
    return drawing(dag, network.parameters[: network.n_edge], names, brains)


def paths(made, *kinds):
    return "".join(path for kind, path, _ in made["shapes"] if kind.split()[0] in kinds)


def test_a_small_graph_is_drawn_edge_by_edge(network):
    made = drawing_of(network)
    assert paths(made, "plus", "minus").count("M") == 150
    assert paths(made, "node").count("M") == 40
    named = drawing_of(network, tuple(f"<{i}>" for i in range(40)))
    titles = sorted(title for kind, _, title in named["shapes"] if kind.startswith("node"))
    assert titles == sorted(f"<{i}>" for i in range(40))
    assert {text for _, text, _, _ in made["labels"]} <= {"a", "b"}


def test_neighbours_of_a_drawing_lie_at_like_heights():
    """Two separate chains whose second level is written in the other order do not cross."""
    network = gn.DagNN.from_edges([0, 1, 2, 3], [3, 2, 4, 5], inputs=[0, 1], outputs=[5, 4])
    made = drawing(network.dag, network.parameters[:4], None, [])
    ends = [(int(a), int(b)) for a, b in re.findall(r"M\d+ (\d+)L\d+ (\d+)", paths(made, "plus", "minus"))]
    assert len(ends) == 4
    assert all(a == b for a, b in ends), ends


def test_groups_count_the_edges_that_networkx_counts():
    """Groups are smaller than a column, a brain's nodes are a group, and no edge is lost or counted twice."""
    network = gn.DagNN.random(400, 5000, 30, 9, seed=1)
    dag, brains = network.dag, [("a", network.dag.inputs[:20]), ("b", network.dag.outputs)]
    column, group_of = groups_of(dag, False, brains)
    assert column.max() < MOST_COLUMNS
    assert np.bincount(column).max() <= MOST_GROUPS + len(brains)
    for _, nodes in brains:
        mates = np.flatnonzero(np.isin(group_of, group_of[nodes]))
        assert set(mates.tolist()) == set(np.asarray(nodes).tolist())
    senders = np.repeat(np.arange(dag.n_node), np.diff(dag.t_indptr))
    weights = network.parameters[: network.n_edge]
    reference = networkx.DiGraph()
    for a, b, weight in zip(group_of[senders].tolist(), group_of[dag.t_indices].tolist(), weights, strict=True):
        before = reference.get_edge_data(a, b, {"n": 0, "sum": 0.0})
        reference.add_edge(a, b, n=before["n"] + 1, sum=before["sum"] + float(weight))
    ends, counts, sums = links(dag, weights, group_of, len(column))
    assert len(counts) == reference.number_of_edges()
    for a, b, n, total in zip(*ends.tolist(), counts.tolist(), sums.tolist(), strict=True):
        assert reference[a][b]["n"] == n
        assert reference[a][b]["sum"] == pytest.approx(total, abs=1e-5)


def test_large_graphs_are_drawn_in_groups_and_stay_small():
    network = gn.DagNN.layered([64] + [256] * 30 + [8], 32, seed=1)
    brains = [(f"brain {i}", network.dag.inputs[i : i + 1]) for i in range(64)]
    made = drawing(network.dag, network.parameters[: network.n_edge], None, brains)
    assert sum(len(path) + len(title) for _, path, title in made["shapes"]) < 40_000
    places = [float(y) for y in re.findall(r" ([\d.]+)", paths(made, "node", "plus", "minus"))]
    assert all(0 <= y <= 1000 for y in places)
    assert len(made["labels"]) <= 48
