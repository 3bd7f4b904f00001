"""The page of one run, from facts that are gathered elsewhere."""

from typing import Any, NamedTuple

from grapheme_numba.report.pages.brains import brain_cards, fixed_share, overall_charts, sample_table, score_table
from grapheme_numba.report.pages.charts import Line, line_chart
from grapheme_numba.report.pages.markup import code, facts, page, plain, section, shown
from grapheme_numba.report.pages.numbers import compact, duration, number, share
from grapheme_numba.report.pages.topology import Graph, topology_charts


class Ending(NamedTuple):
    """How a run stands: a word, a sentence, the class of the style (good, held, bad), what to do next."""

    word: str
    text: str
    kind: str
    command: str | None = None


class RunFacts(NamedTuple):
    """Everything the page of a run tells.

    task, name : the trainer and the run's folder; ending : Ending; refresh : seconds until it is looked at again
    rows : of metrics.jsonl; names : the brains; n_epoch : as configured; progress : where the run stands
    graph : Graph, or None where there is nothing to draw
    answered : of `samples.answer_samples`; unanswered : why there is none
    config : every key with its value; defaults : the general ones
    data, environment : names and values as text; written : when, as text
    """

    task: str
    name: str
    ending: Ending
    refresh: int | None
    rows: list[dict]
    names: list[str]
    n_epoch: int
    progress: Any
    graph: Graph | None
    answered: dict[str, Any]
    unanswered: str
    config: dict[str, Any]
    defaults: dict[str, Any]
    data: list[tuple[str, str]]
    environment: list[tuple[str, str]]
    written: str


def render(run: RunFacts) -> str:
    """The whole document."""
    epochs = [row for row in run.rows if row.get("kind") == "epoch"]
    validations = [row for row in run.rows if row.get("kind") == "validation"]
    best = best_of(validations)
    about_loss = "Mean squared error of the answers’ codes, on a logarithmic scale, and answers right to the letter."
    body = [
        header(run, best),
        tiles(run, epochs, best),
        section("Answers by brain", score_table(best, run.answered), about_answers(best)),
        section(
            "All brains together", overall_charts(epochs, validations, fixed_share(run.answered, best)), about_loss
        ),
        section("Each brain", brain_cards(epochs, validations, run.names, run.answered)),
        section("Sample answers", sample_table(run.answered) or " " * bool(run.unanswered), about_samples(run)),
        section("Course of the training", course(epochs, run.config)),
        section("Topology", topology_charts(run.graph), about_graph(run.graph)) if run.graph else "",
        section("Configuration", configuration(run), "Set in bold is what differs from the general defaults."),
        section("Data and machine", told(run.data, "facts long") + told(run.environment)),
    ]
    return page(f"{run.name}: grapheme-train {run.task}", "".join(body), plain(run.written), run.refresh)


def told(pairs, kind="facts") -> str:
    """Names and plain values as a list."""
    return facts([(name, shown(value)) for name, value in pairs], kind)


def best_of(validations: list[dict]) -> dict | None:
    """The best validation's row, or the latest where none is marked."""
    best = [row for row in validations if row.get("best")]
    return (best or validations or [None])[-1]


def header(run: RunFacts, best) -> str:
    """The run's name, how it stands and what it achieved, in words."""
    ending = run.ending
    parts = [f'<span class="state {ending.kind}">{plain(ending.word)}</span> {plain(ending.text)}']
    if run.progress.n_skipped:
        parts.append(f"{run.progress.n_skipped:,} batches were skipped because they were not finite.")
    if run.progress.rate_factor < 1:
        parts.append(f"After a fault the learning rate went on at {run.progress.rate_factor:g} of its plan.")
    if ending.command:
        parts.append(f"Go on with {code(ending.command)}")
    lines = [f'<p class="over-title">grapheme-train {plain(run.task)}</p><h1>{shown(run.name)}</h1>']
    lines.append(f"<p>{' '.join(parts)}</p>")
    if best is not None:
        lines.append(f"<p>{achieved(run, best)}</p>")
    return f"<header>{''.join(lines)}</header>\n"


def achieved(run: RunFacts, best) -> str:
    """What the best validation showed, as a sentence."""
    text = f"Of {number(best['n'])} validation examples {share(best['exact'])} are answered right to the letter"
    text += f" by the best weights, those of epoch {best['epoch']}."
    fixed = fixed_share(run.answered, best)
    if fixed is not None:
        text += f" Always giving each brain’s commonest answer would score {share(fixed)}."
    return plain(text)


def tiles(run: RunFacts, epochs, best) -> str:
    """The run in a few figures."""
    speeds = sorted(row["examples_per_s"] for row in epochs if row.get("examples_per_s"))
    pairs = []
    if best is not None:
        pairs.append(("exact answers", f"{share(best['exact'])}<small>best validation, epoch {best['epoch']}</small>"))
        fixed = f"best constant {number(best['mse_constant'])}"
        pairs.append(("validation loss", f"{number(best['mse'])}<small>{fixed}</small>"))
    pairs.append(("epochs", f"{run.progress.epoch:,}<small>of {run.n_epoch:,}</small>"))
    pairs.append(("steps", f"{run.progress.step:,}<small>{number(run.progress.n_example)} examples seen</small>"))
    pairs.append(("training time", f"{duration(run.progress.elapsed)}<small>validations included</small>"))
    if speeds:
        pairs.append(("throughput", f"{compact(speeds[len(speeds) // 2])}<small>examples/s, median epoch</small>"))
    if run.graph is not None:
        dag = run.graph.dag
        pairs.append(("edges", f"{compact(dag.n_edge)}<small>{dag.n_node:,} nodes, {dag.n_level:,} levels</small>"))
    return facts(pairs, "tiles")


def about_answers(best) -> str:
    """What the table compares, in a sentence."""
    if best is None:
        return ""
    return (
        f"Validation after epoch {best['epoch']}. The best constant answer is the mean code (for the loss) and the "
        "median (for the error of numbers) of the training data; the fixed answer is the commonest of the validation "
        "data. A model that learned anything beats them."
    )


def about_samples(run: RunFacts) -> str:
    """Which examples are shown; or why none is."""
    if run.unanswered:
        return plain(run.unanswered)
    return "Validation examples answered by the latest weights: up to three wrong and three right ones of every brain."


def course(epochs, config) -> str:
    """Learning rate, gradient norm and throughput over the epochs; the edges where the run changes them."""

    def values(key):
        return [(row["epoch"], row.get(key)) for row in epochs]

    norms = [Line("before clipping", values("grad_norm"))]
    if epochs and config.get("clip_grad_norm"):
        ends = [(row["epoch"], config["clip_grad_norm"]) for row in (epochs[0], epochs[-1])]
        highest = max((y for _, y in norms[0].points if y is not None), default=0)
        if highest > config["clip_grad_norm"] / 2:  # far above the line it would only flatten it
            norms.append(Line("clipped at", ends, "fixed"))
    charts = [
        line_chart("Learning rate", [Line("learning rate", values("lr"))]),
        line_chart("Gradient norm", norms, note="of the last step, before clipping"),
        line_chart("Throughput", [Line("throughput", values("examples_per_s"))], note="examples/s"),
        line_chart("Edges", [Line("edges", values("n_edge"))], note="that are left"),
        line_chart("Edges moved", [Line("moved edges", values("n_moved"))], note="since the run began"),
    ]
    return f'<div class="charts">{"".join(charts)}</div>' if any(charts) else ""


def about_graph(graph: Graph) -> str:
    """The graph's size in words."""
    dag = graph.dag
    text = f"{dag.n_node:,} nodes, {dag.n_edge:,} edges and {dag.n_level:,} levels"
    dense = dag.n_node * (dag.n_node - 1) / 2
    density = f"; {100 * dag.n_edge / dense:.3g} % of the edges an acyclic graph of that size can have" if dense else ""
    return f"{text}, {len(dag.inputs):,} inputs and {len(dag.outputs):,} outputs{density}."


def configuration(run: RunFacts) -> str:
    """Every key and its value."""
    pairs = []
    for key, value in run.config.items():
        text = ", ".join(map(str, value)) if isinstance(value, tuple) else "–" if value in (None, {}) else str(value)
        differs = key in run.defaults and run.defaults[key] != value
        pairs.append((key, f'<span class="{"set" if differs else ""}">{shown(text)}</span>'))
    return facts(pairs)
