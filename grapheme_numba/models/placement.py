"""From what the data needs and what the user asks for to a layout: disjoint slices, a brain per domain."""

from collections.abc import Mapping, Sequence

import msgspec

from grapheme_numba.data.codec.answers import TextAnswer
from grapheme_numba.data.codec.layout import DomainNeeds, Layout
from grapheme_numba.errors import RecordError, UsageError, few
from grapheme_numba.models.router import BRAINS
from grapheme_numba.models.slices import allocate_brain_slices

BITS = 8  # outputs per byte of a text answer


def place_brains(
    needs: Sequence[DomainNeeds],
    requests: Mapping[str, Sequence[int]],
    embedding_dim: int,
    unknown_domain: str = "error",
) -> Layout:
    """Give each domain of the data the slices of its own brain.

    math, text, timeseries and vision are brains without a request, each as large as its data and
    codes need; a request changes a brain's size or adds a brain for another domain.

    Parameters
    ----------
    needs : sequence of DomainNeeds
        What each domain of the data needs.
    requests : mapping of name to (n_input, n_output)
        Brains to change or add.
    embedding_dim : int
    unknown_domain : {"error", "skip"}
        What a domain without a brain is; skipped domains have no place in the layout.

    Raises
    ------
    UsageError
        A request for a brain that no domain of the data has, or of a size its codes cannot have.
    RecordError
        A domain without a brain, or no domain with one.
    """
    domains = [need.name for need in needs]
    unknown = [name for name in requests if name not in domains]
    if unknown:
        raise UsageError(
            f"brain {few(map(repr, unknown))} is requested, but the data holds only the domains "
            f"{few(domains)}; ask for one of these, or add examples of that domain"
        )
    brains = [name for name in domains if name in BRAINS or name in requests]
    with_brain = set(brains)
    unplaced = [need for need in needs if need.name not in with_brain]
    if unplaced and (unknown_domain == "error" or not brains):
        flags = few((f"--brain {need.name}={need.n_input},{need.n_output}" for need in unplaced), sep=" ")
        raise RecordError(
            f"no brain for domain {few(need.name for need in unplaced)}: the data holds the domains "
            f"{few(domains)}, the brains are {few(brains) or 'none of them'}; add {flags}"
            + (", or leave such examples out with --unknown-domain skip" if brains else "")
        )
    placed = [_resized(need, requests.get(need.name), embedding_dim) for need in needs if need.name in with_brain]
    slices = allocate_brain_slices((need.name, need.n_input, need.n_output) for need in placed)
    return Layout.of(
        [need.at(slices[need.name].input_range.start, slices[need.name].output_range.start) for need in placed],
        embedding_dim,
    )


def _resized(need: DomainNeeds, request: Sequence[int] | None, embedding_dim: int) -> DomainNeeds:
    """The need with the sizes of a request, where codec and input can have them."""
    if request is None:
        return need
    n_input, n_output = _pair(need.name, request)
    n_token = n_input // embedding_dim - need.n_bag if need.input_type == "text" else 0
    if need.input_type == "text" and (n_token < need.spelled or n_input % embedding_dim):
        words = f" and its words {need.n_bag * embedding_dim}" if need.n_bag else ""
        raise UsageError(
            f"brain '{need.name}' asks for {n_input} inputs; a token takes {embedding_dim}{words}, "
            f"so ask for a multiple of {embedding_dim} (its longest text needs {need.n_input})"
        )
    if need.input_type == "tabular" and n_input != need.n_input:
        raise UsageError(
            f"brain '{need.name}' asks for {n_input} inputs, but its columns have {need.n_input}; "
            f"ask for {need.n_input},{need.n_output}"
        )
    answer = need.answer
    if isinstance(answer, TextAnswer):
        if n_output < BITS or n_output % BITS:
            raise UsageError(
                f"brain '{need.name}' asks for {n_output} outputs; a byte of its answers takes {BITS}, "
                f"so ask for a multiple of {BITS} (its longest answer needs {need.n_output})"
            )
        answer = TextAnswer(n_output // BITS)
    elif n_output != need.n_output:
        raise UsageError(
            f"brain '{need.name}' asks for {n_output} outputs, but the code of its answers has {need.n_output}; "
            f"ask for {n_input},{need.n_output}"
        )
    return msgspec.structs.replace(need, n_input=n_input, n_output=n_output, answer=answer, n_token=n_token)


def _pair(name: str, request: Sequence[int]) -> tuple[int, int]:
    if len(request) != 2 or min(request) < 1:
        raise UsageError(f"brain '{name}' asks for {list(request)}; give two sizes of at least 1, INPUTS,OUTPUTS")
    return request[0], request[1]
