"""Which examples of a dataset a model of brains takes, and which brain takes each."""

import msgspec

from grapheme_numba.brains.router import BRAINS, THRESHOLD, CognitiveRouter
from grapheme_numba.dataset.rerouted import NOWHERE, nowhere, rerouting
from grapheme_numba.errors import RecordError


class Refused(msgspec.Struct):
    """An example that the router sent nowhere; `row` counts from 0."""

    file: str
    row: int
    id: str
    reason: str


def admit(
    dataset, *, brains=(), layout=None, route: bool = False, threshold: float = THRESHOLD, unknown_domain: str = "error"
):
    """The dataset as brains see it: routed if asked, unknown domains left out if asked.

    Parameters
    ----------
    dataset : Dataset
    brains : iterable of str
        Brains besides math, text, timeseries and vision, while there is no layout yet.
    layout : Layout, optional
        The model's; its domains are the brains.
    route : bool
        Choose the brain by the input. What no brain is sure of is left out; `refused` names it.
    threshold : float
        Least confidence of the router.
    unknown_domain : {"error", "skip"}
        "skip" leaves domains without a brain out.

    Returns
    -------
    Dataset
        A view.

    Raises
    ------
    RecordError
        The dataset holds examples without a domain, or with one that `layout` does not know, and
        `unknown_domain` is "error".
    """
    kinds = {one.name: one.input_type for one in (layout or dataset.summary()).domains}
    known = set(kinds) if layout else set(BRAINS) | set(brains)
    if route:
        router = router_of(kinds, known, threshold)
        dataset = dataset.view([NOWHERE], rerouting(router.choose, router.names))
    elif dataset.summary().nameless and unknown_domain == "error":
        raise RecordError(
            f"{dataset.summary().nameless} examples of {dataset.path} name no domain; choose one by what each holds "
            "with --route, or leave them out with --unknown-domain skip"
        )
    elif dataset.summary().nameless:
        dataset = dataset.view([NOWHERE])
    strangers = [one.name for one in dataset.summary().domains if one.name not in known]
    if strangers and unknown_domain == "skip":
        return dataset.view(strangers)
    if strangers and layout:
        held = ", ".join(one.name for one in dataset.summary().domains)
        raise RecordError(
            f"{dataset.path} holds the domains {held}, but the model has brains for {', '.join(layout.names)}: "
            f"none for {', '.join(strangers)}; leave such examples out with --unknown-domain skip, "
            "or train a model with them"
        )
    return dataset


def router_of(kinds, known, threshold: float) -> CognitiveRouter:
    """The router among the brains `known`, whose input types are those of `kinds` or of the usual brains."""
    return CognitiveRouter(threshold, {name: kind for name, kind in (BRAINS | kinds).items() if name in known})


def refused(dataset, layout, threshold: float):
    """Yield `Refused` for every example that a routed dataset leaves out, with the reason."""
    router = router_of({one.name: one.input_type for one in layout.domains}, set(layout.names), threshold)
    for row, name, given in nowhere(dataset.tables(["id", "domain", "input_type", "text", "values", "pixels"])):
        yield Refused(str(dataset.path), row, name, router.rejection(router.route(given)))
