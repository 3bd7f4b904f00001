"""Answers to questions: JSONL lines in, one answer or one reason a line out, in order."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from grapheme_numba.data.jsonl.lines import read_blocks, split_lines
from grapheme_numba.data.records import Limits, MixedExample, parse_example
from grapheme_numba.data.stream.batches import Batch, encode_examples, misfit
from grapheme_numba.errors import RecordError
from grapheme_numba.models.brain_model import BrainModel
from grapheme_numba.models.naming import node_names, nodes_called
from grapheme_numba.models.router import THRESHOLD, CognitiveRouter


class Answer(NamedTuple):
    """The answer to one line. `confidence` is in [0, 1]; `nodes` holds the activations that were asked for."""

    id: str
    domain: str
    answer: str
    confidence: float
    nodes: dict[str, float] | None = None


class Refusal(NamedTuple):
    """Why a line has no answer. `line` counts from 1."""

    file: str
    line: int
    byte: int
    reason: str


class Answerer:
    """A model with a router: it routes what names no domain or, with `route_all`, everything.

    `nodes` are names of nodes whose activations stand beside each answer.
    """

    def __init__(
        self,
        model: BrainModel,
        *,
        threshold: float | None = None,
        route_all: bool = False,
        batch_size: int = 256,
        nodes: Sequence[str] = (),
    ) -> None:
        self.nodes = dict(zip(nodes, nodes_called(nodes, node_names(model.layout, model.dag)), strict=True))
        self.model, self.route_all, self.batch_size = model, route_all, batch_size
        kinds = {domain.name: domain.input_type for domain in model.layout.domains}
        self.router = CognitiveRouter(THRESHOLD if threshold is None else threshold, kinds)

    def answer(self, source: str) -> Iterator[Answer | Refusal]:
        """Answers and refusals of a file's lines (`-` is standard input), in order."""
        yield from self.batched(self.examples_of(source))

    def answer_lines(self, lines: Iterable[bytes], source: str) -> Iterator[Answer | Refusal]:
        """Answers and refusals of lines in memory, in order; refusals name `source`."""
        yield from self.batched(self.example_of(line, source, number, 0) for number, line in enumerate(lines, 1))

    def examples_of(self, source: str) -> Iterator[MixedExample | Refusal]:
        """The questions of a file's lines, or why they are none."""
        limits = Limits()
        for block in read_blocks(source, limits.line_bytes):
            if block.too_long:
                reason = f"the line has {block.too_long} bytes, more than the limit of {limits.line_bytes}"
                yield Refusal(source, block.first_line, block.offset, reason)
            for number, offset, line in split_lines(block):
                yield self.example_of(line, source, number, offset)

    def example_of(self, line: bytes, source: str, number: int, offset: int) -> MixedExample | Refusal:
        """The question of one line, or why it is none."""
        try:
            return self.read(line, Limits())
        except RecordError as error:
            return Refusal(source, number, offset, str(error))

    def batched(self, questions: Iterable[MixedExample | Refusal]) -> Iterator[Answer | Refusal]:
        """What `questions` come to, `batch_size` of them at a time."""
        waiting: list[MixedExample | Refusal] = []
        for one in questions:
            waiting.append(one)
            if len(waiting) >= self.batch_size:
                yield from self.decide(waiting)
                waiting = []
        yield from self.decide(waiting)

    def read(self, line: bytes, limits: Limits) -> MixedExample:
        """A question with a domain that the model knows and an input that fits. Raises RecordError."""
        example = parse_example(line, limits, question=True)
        domain = example.domain
        if self.route_all or not domain:
            given = {"text": example.text, "values": example.values, "pixels": example.pixels}
            found = self.router.route({key: value for key, value in given.items() if value is not None})
            if found.brain is None:
                raise RecordError(self.router.rejection(found))
            domain = found.brain
            example = msgspec.structs.replace(example, domain=domain)
        layout = self.model.layout
        reason = misfit(example, layout.domains[layout.index(domain)], layout)
        if reason is not None:
            raise RecordError(reason)
        return example

    def decide(self, waiting: Iterable[MixedExample | Refusal]) -> Iterator[Answer | Refusal]:
        """Run the model once for all the questions among `waiting`, which keep their places."""
        waiting = list(waiting)
        examples = [one for one in waiting if isinstance(one, MixedExample)]
        answers = iter(self.run(encode_examples(examples, self.model.layout))) if examples else iter(())
        for one in waiting:
            yield next(answers) if isinstance(one, MixedExample) else one

    def run(self, batch: Batch) -> list[Answer]:
        """The answers to a batch of examples with domains, each of whose inputs fits."""
        layout = self.model.layout
        outputs = self.model.own_outputs(batch)
        inside = self.model.dag.activations()[:, list(self.nodes.values())].tolist() if self.nodes else None
        answers: dict[int, Answer] = {}
        for index, name in enumerate(layout.names):
            rows = np.flatnonzero(batch.domain == index).tolist()
            if rows:
                decoded = layout.decode(index, outputs[rows])
                for row, text, confidence in zip(rows, decoded.answers, decoded.confidence, strict=True):
                    seen = dict(zip(self.nodes, inside[row], strict=True)) if inside is not None else None
                    answers[row] = Answer(batch.ids[row], name, text, round(float(confidence), 4), seen)
        return [answers[row] for row in range(len(batch.domain))]
