"""A large graph as streams of edges between its parts: input slices, levels, output slices."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from grapheme_numba.report.pages.axes import SIDE
from grapheme_numba.report.pages.markup import plain

MOST_BANDS = 8  # columns of hidden nodes; more levels share one
CHUNK = 1 << 22  # edges counted at once
LEAST, WIDTH = 5, 16  # of a block: its height, its width
GAP, MOST_GAPS = 46, 500  # between the blocks of a column, so that their names stand free; all of them together


class Block(NamedTuple):
    """Nodes drawn as one: name, column from the left, class of the style, number of nodes."""

    name: str
    column: int
    kind: str
    n_node: int


def draw_flow(graph) -> str:
    """A figure whose blocks and streams are as high as they have edges."""
    blocks, block_of = blocks_of(graph)
    counts = edge_counts(graph.dag, block_of, len(blocks))
    inside = int(np.trace(counts))
    tops, heights, per_edge = places(blocks, counts)
    shapes, sent, taken = [], tops.copy(), tops.copy()
    n_column = max(block.column for block in blocks) + 1
    x = [round((SIDE - WIDTH) * block.column / (n_column - 1)) for block in blocks]
    for a, b in sorted(zip(*np.nonzero(counts), strict=True)):
        if x[a] < x[b]:
            high = counts[a, b] * per_edge
            title = f"{blocks[a].name} to {blocks[b].name}: {counts[a, b]:,} edges"
            shapes.append(ribbon(x[a] + WIDTH, sent[a], x[b], taken[b], high, title))
            sent[a] += high
            taken[b] += high
    for index, block in enumerate(blocks):
        title = (
            f"{block.name}: {block.n_node:,} nodes, {counts[:, index].sum():,} edges in, {counts[index].sum():,} out"
        )
        shapes.append(
            f'<rect class="block {block.kind}" x="{x[index]}" y="{tops[index]:.0f}" width="{WIDTH}" '
            f'height="{heights[index]:.0f}"><title>{plain(title)}</title></rect>'
        )
    told = "; ".join(
        f"{blocks[a].name} to {blocks[b].name} {counts[a, b]:,} edges" for a, b in zip(*np.nonzero(counts), strict=True)
    )
    note = "as high as they have edges" + (f"; {inside:,} edges within a part are left out" if inside else "")
    return (
        f'<figure class="graph"><figcaption>Edges between the parts <small>{note}</small></figcaption>'
        f'<div class="plot"><div></div><div class="area"><svg viewBox="0 0 {SIDE} {SIDE}" preserveAspectRatio="none" '
        f'role="img" aria-label="{plain("Streams of edges. " + told[:1500])}">{"".join(shapes)}</svg>'
        f"{tags(blocks, x, tops, heights)}</div></div></figure>\n"
    )


def blocks_of(graph) -> tuple[list[Block], np.ndarray]:
    """The blocks from left to right and each internal node's block: (n_node,) int16."""
    dag = graph.dag
    level = np.repeat(np.arange(dag.n_level), np.diff(dag.level_start))
    block_of = np.full(dag.n_node, -1, np.int16)
    hidden = (dag.is_input == 0) & (dag.is_output == 0)
    levels = np.unique(level[hidden])
    bands = [band for band in np.array_split(levels, min(MOST_BANDS, max(1, len(levels)))) if len(band)]
    blocks = []

    def add(name, column, kind, nodes):
        nodes = nodes[block_of[nodes] < 0]  # a node that is input and output is drawn as an input
        if len(nodes):
            block_of[nodes] = len(blocks)
            blocks.append(Block(name, column, kind, len(nodes)))

    for one in graph.inputs:
        add(f"{one.name} inputs", 0, "input", dag.inputs[one.start : one.stop])
    for column, band in enumerate(bands, 1):
        name = f"level {band[0]}" if len(band) == 1 else f"levels {band[0]}–{band[-1]}"
        add(name, column, "", np.flatnonzero(hidden & (level >= band[0]) & (level <= band[-1])))
    for one in graph.outputs:
        add(f"{one.name} outputs", len(bands) + 1, "output", dag.outputs[one.start : one.stop])
    rest = np.flatnonzero(block_of < 0)
    if len(rest):
        add("inputs and outputs of no brain", 0, "input", rest)
    return blocks, block_of


def edge_counts(dag, block_of, n_block: int) -> np.ndarray:
    """(n_block, n_block) edges from block to block, counted in chunks of senders to bound memory."""
    counts = np.zeros(n_block * n_block, np.int64)
    cuts = [*np.searchsorted(dag.t_indptr, np.arange(0, dag.n_edge, CHUNK)).tolist(), dag.n_node]
    for first, last in pairwise(cuts):
        if last > first:
            sender = np.repeat(block_of[first:last].astype(np.int64), np.diff(dag.t_indptr[first : last + 1]))
            receiver = block_of[dag.t_indices[dag.t_indptr[first] : dag.t_indptr[last]]]
            counts += np.bincount(sender * n_block + receiver, minlength=len(counts))
    return counts.reshape(n_block, n_block)


def places(blocks, counts) -> tuple[np.ndarray, np.ndarray, float]:
    """Top and height of every block, and the height of an edge: the fullest column fills the drawing."""
    edges = np.maximum(counts.sum(axis=0), counts.sum(axis=1)).astype(float)
    columns = [[i for i, block in enumerate(blocks) if block.column == c] for c in {b.column for b in blocks}]
    gap = min(GAP, MOST_GAPS / max(map(len, columns)))
    per_edge = min(
        (SIDE - gap * (len(column) - 1) - LEAST * len(column)) / max(1.0, edges[column].sum()) for column in columns
    )
    heights = LEAST + edges * max(per_edge, 0.0)
    tops = np.zeros(len(blocks))
    for column in columns:
        top = (SIDE - heights[column].sum() - gap * (len(column) - 1)) / 2
        for index in column:
            tops[index] = top
            top += heights[index] + gap
    return tops, heights, max(per_edge, 0.0)


def ribbon(x0, y0, x1, y1, high, title) -> str:
    """A stream from (x0, y0) to (x1, y1), both its upper ends."""
    middle = (x0 + x1) // 2
    path = (
        f"M{x0} {y0:.1f}C{middle} {y0:.1f} {middle} {y1:.1f} {x1} {y1:.1f}V{y1 + high:.1f}"
        f"C{middle} {y1 + high:.1f} {middle} {y0 + high:.1f} {x0} {y0 + high:.1f}Z"
    )
    return f'<path class="ribbon" d="{path}"><title>{plain(title)}</title></path>'


def tags(blocks, x, tops, heights) -> str:
    """Names: of a brain's block beside it, of a level's above it, with the number of nodes below."""
    parts, last = [], max(block.column for block in blocks)
    middle = [column for column in range(1, last) if 0.2 <= column / last <= 0.8]
    named = middle[:: -(-len(middle) // 3)]  # a phone has room for three names between those at the sides
    for block, left, top, high in zip(blocks, x, tops, heights, strict=True):
        if block.column in (0, last):
            kind, place = ("tag", left + WIDTH + 6) if block.column == 0 else ("tag from-right", left - 6)
            where = f"left:{place / SIDE:.1%};top:{(top + high / 2) / SIDE:.1%}"
            name = block.name.removesuffix(" inputs").removesuffix(" outputs")
            parts.append(f'<em class="{kind}" style="{where}"><bdi>{plain(name[:60])}</bdi></em>')
        elif block.column in named:
            where = f"left:{(left + WIDTH / 2) / SIDE:.1%};--at:-50%"
            parts.append(f'<em class="head" style="{where}">{plain(block.name)}</em>')
            parts.append(f'<em class="foot" style="{where}">{block.n_node:,} nodes</em>')
    for column, word, place, at in ((0, "inputs", 0, "0%"), (last, "outputs", 1, "-100%")):
        n = sum(block.n_node for block in blocks if block.column == column)
        where = f"left:{place:.0%};--at:{at}"
        parts.append(f'<em class="head" style="{where}">{word}</em><em class="foot" style="{where}">{n:,}</em>')
    return "".join(parts)
