"""The scores of a checkpoint on a file of examples: what `evaluate` prints and `Model.evaluate` returns."""

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from grapheme_numba.data.codec.inputs import column_kind, unseen_sentence
from grapheme_numba.data.inspect import misfit_lines
from grapheme_numba.data.sources.pictures import looks_for
from grapheme_numba.data.sources.tables.mapping import TableMapping
from grapheme_numba.data.sources.tables.readers import open_table
from grapheme_numba.data.sources.tables.typed import refuse_numbers_for_dates
from grapheme_numba.data.splits import find_splits
from grapheme_numba.data.stream.dataset import Dataset
from grapheme_numba.data.stream.open_dataset import open_dataset
from grapheme_numba.data.stream.open_splits import open_splits
from grapheme_numba.errors import MissingInputError, RecordError
from grapheme_numba.models.brain_model import BrainModel
from grapheme_numba.runs.answer_sources import kind_of_source
from grapheme_numba.runs.checkpoint import Checkpoint, restore_baselines
from grapheme_numba.runs.session import left_out, select_examples
from grapheme_numba.training import metrics
from grapheme_numba.training.tasks import find_task


class Evaluation(NamedTuple):
    """The scores of every domain, `all` last, and the file that they are of."""

    file: Path
    scores: list[metrics.Score]

    @property
    def figures(self) -> list[dict[str, Any]]:
        """The figures that are shown, one dict per domain."""
        return [metrics.plain(score) for score in self.scores]


def evaluate_checkpoint(
    checkpoint: Checkpoint,
    model: BrainModel,
    data: str | Path | None = None,
    *,
    choice: Mapping[str, Any],
    batch_size: int = 256,
    cache: bool = True,
    note: Callable[[str], object] | None = None,
    progress: Callable[[str], object] | None = None,
) -> Evaluation:
    """Evaluate on `data`: a file, a folder with a test (else a val) split, or by default the run's own data.

    `choice` may hold `route` and `unknown_domain`; the checkpoint's own count where it does not. `note` is called
    with a sentence on examples that are left out, `progress` on what is read, what of it the model does not know or has
    no room for, and when something takes time.

    Raises MissingInputError, RecordError.
    """
    given = {key: value for key, value in choice.items() if value is not None}
    config = msgspec.structs.replace(checkpoint.config, **given)
    own = checkpoint.config
    opening: dict[str, Any] = {
        "cache": cache,
        "progress": progress,
        "nameless": config.route,
        "mapping": of_the_model(own.table(), model),
    }
    if data is None and own.data is not None and Path(own.data).is_file():
        splits = open_splits(own.data, split=own.split, **opening)
        file, dataset = Path(own.data), splits.test or splits.val or splits.train
        if progress is not None:
            progress(splits.sentence)
    else:
        file = test_file(data, own.data)
        if file.is_file() and kind_of_source(file, own.table(), model.layout) == "table":
            opening["mapping"] = as_trained(opening["mapping"], model, file)
        images = [domain for domain in model.layout.domains if domain.input_type == "image"]
        if file.is_dir() and images:
            looks = looks_for(images[0].n_input, own.image_size)
            opening["mapping"] = msgspec.structs.replace(opening["mapping"], image_size=str(looks))
        dataset = open_dataset(file, **opening)
    dataset = select_examples(find_task(checkpoint.task), dataset, config, model.layout)
    sentence = left_out(dataset)
    if sentence and note is not None:
        note(sentence)
    scores = metrics.evaluate(model, dataset, restore_baselines(checkpoint), batch_size)
    if progress is not None:
        lost = misfit_lines(dataset, model.layout) if scores[-1].n_unfit else []
        for line in (*unseen_categories(dataset, model), *lost):
            progress(line)
    return Evaluation(file, scores)


def unseen_categories(dataset: Dataset, model: BrainModel) -> list[str]:
    """Columns of a table whose cells hold categories that training did not have, one line each."""
    layout, found = model.layout, []
    if all(domain.input_type != "tabular" for domain in layout.domains):
        return []
    for domain in dataset.summary().domains:
        codes = layout.domains[layout.index(domain.name)].fields if domain.name in layout.names else ()
        known = {code.name: code for code in codes if code.values}
        for field in domain.fields:
            code, cells = known.get(field.name), dict(zip(field.values, field.counts, strict=True))
            strange = {} if code is None else {value: n for value, n in cells.items() if value not in code.values}
            if code is not None and strange:
                found.append(unseen_sentence(field.name, sum(strange.values()), next(iter(strange)), code.other))
    return found


def of_the_model(mapping: TableMapping, model: BrainModel) -> TableMapping:
    """The mapping of a table for the only domain of a model, where it would be called by the name of its file."""
    names = model.layout.names
    if mapping.target is None or mapping.domain is not None or len(names) != 1:
        return mapping
    return msgspec.structs.replace(mapping, domain=names[0])


def as_trained(mapping: TableMapping, model: BrainModel, file: Path) -> TableMapping:
    """The mapping with the columns that the model reads, each of the kind that it had in training.

    Raises RecordError where the table lacks one, or that of the answers.
    """
    table = open_table(file, mapping)
    names = table.names
    if mapping.target is None:
        return mapping
    if mapping.target not in names:
        raise RecordError(
            f"{file} has no column {mapping.target!r}, which holds the answers to compare with; it has "
            f"{', '.join(names[:12])}. Without answers, `grapheme-train predict` is what you want"
        )
    fields = [field for domain in model.layout.domains for field in domain.fields if field.n_input]
    lacking = [field.name for field in fields if field.name not in names]
    if lacking:
        shown = ", ".join(map(repr, lacking[:12]))
        raise RecordError(f"{file} has no column {shown}, which the model reads; it has {', '.join(names[:12])}")
    given = {key: getattr(mapping, key) for key in ("id", "weight") if getattr(mapping, key) in names}
    mapping = msgspec.structs.replace(mapping, **{"id": None, "weight": None, **given})
    drop = tuple(one for one in mapping.drop if any(fnmatchcase(name, one) for name in names))
    if not fields:
        texts = {domain.input_type for domain in model.layout.domains} == {"text"}
        return msgspec.structs.replace(mapping, drop=drop, layout="values" if texts else mapping.layout)
    kinds = {field.name: column_kind(field) for field in fields}
    refuse_numbers_for_dates(file, table.types, kinds)
    return msgspec.structs.replace(mapping, inputs=tuple(kinds), drop=(), kinds={**mapping.kinds, **kinds})


def test_file(data: str | Path | None, trained_on: str | None) -> Path:
    """The file to evaluate: as given, or the test split (else the validation split) of a folder."""
    if data is not None and (Path(data).is_file() or not Path(data).exists()):
        return Path(data)
    splits = find_splits(str(data) if data else trained_on)
    found = splits.test or splits.val
    if found is None and data is not None and splits.train == Path(data):  # a folder without splits, as of pictures
        return splits.train
    if found is None:
        raise MissingInputError(f"{splits.train.parent} holds neither a test nor a val file; name the file with --data")
    return found
