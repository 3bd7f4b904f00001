"""The rich and the long output of `grapheme-data`: a progress bar, and what `inspect` found."""

import json
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)


@contextmanager
def meter(verb: str, unit: str):
    """A progress bar on standard error; yields `progress(done, total)`, total 0 where unknown."""
    size = (DownloadColumn(), TransferSpeedColumn()) if unit == "bytes" else (MofNCompleteColumn(), TextColumn(unit))
    columns = TextColumn(verb), BarColumn(), *size, TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        bar_task = bar.add_task(verb, total=None)
        yield lambda done, total: bar.update(bar_task, completed=done, total=total or None)


def show_inspected(show, found) -> None:
    """Say what `inspect` found, domain by domain."""
    dataset, summary = found.dataset, found.summary
    show(
        {"path": str(dataset.path), "rows": dataset.n_rows, "fingerprint": dataset.fingerprint, "checksums": "ok"},
        f"{dataset.path}: {dataset.n_rows} rows, checksums ok, fingerprint {dataset.fingerprint}",
    )
    if summary.nameless:
        show({"nameless": summary.nameless}, f"  without a domain: {summary.nameless} rows, for a router (--route)")
    for domain in summary.domains:
        misfits = found.misfits.get(domain.name)
        n_misfit = misfits.n if misfits else 0
        facts = {
            "domain": domain.name,
            "rows": domain.n,
            "input_type": domain.input_type,
            "longest_input": domain.longest_input,
            "longest_answer": domain.longest_answer,
            "distinct_answers": len(domain.labels) or None,
            "codec": found.codecs[domain.name],
            "misfits": n_misfit,
            "misfit_ids": misfits.ids if misfits else [],
        }
        length = "bytes" if domain.input_type == "text" else "numbers"
        distinct = f"{len(domain.labels)} distinct answers" if domain.labels else "more than 256 distinct answers"
        unfit = f", {n_misfit} do not fit (as {', '.join(misfits.ids)})" if misfits else ", all fit"
        show(
            facts,
            f"  {domain.name}: {domain.n} rows, {domain.input_type} up to {domain.longest_input} {length}, answers up "
            f"to {domain.longest_answer} bytes ({distinct}), coded as {found.codecs[domain.name]}{unfit}",
        )
    for record in found.samples:
        text = json.dumps(record, ensure_ascii=False)
        show({"sample": record}, f"  {text if len(text) <= 200 else text[:197] + '...'}")
