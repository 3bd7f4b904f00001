"""The examples of a run: routed, unknown domains left out, rejects written, as the config says."""

import msgspec

from grapheme_numba.files.storage import WholeFile
from grapheme_numba.models.router import rejects_of, with_brains

REJECTS = "rejects.jsonl"


def select_examples(task, dataset, config, layout=None):
    """`dataset` as the run sees it: a view. Before there is a layout it serves to describe the data.

    Raises RecordError for domains that the model of `layout` does not know, unless they are to be skipped.
    """
    brains = config.brain if task.own_brains else [one.name for one in dataset.summary().domains]
    return with_brains(
        dataset,
        brains=brains,
        layout=layout,
        route=config.route,
        threshold=config.threshold,
        unknown_domain=config.unknown_domain,
    )


def left_out(dataset) -> str | None:
    """One sentence on the examples that a view leaves out, None where it takes all."""
    n = dataset.n_rows - dataset.summary().n
    return f"{n:,} of {dataset.n_rows:,} examples of {dataset.path} are left out: no brain takes them" if n else None


def write_rejects(run) -> None:
    """Write `rejects.jsonl` into the run's folder: every training example that no brain was sure of, and why."""
    if not run.config.route:
        return
    with WholeFile(run.folder / REJECTS) as file:
        for one in rejects_of(run.train, run.model.layout, run.config.threshold):
            file.write(msgspec.json.encode(one) + b"\n")
