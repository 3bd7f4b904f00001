"""A NaN planted anywhere is found in the step where it acts, named by what it is, and never saved."""

import re

import numpy as np
import pytest
from runs import Recorder, digest, small_data, train

from grapheme_numba.errors import NonFiniteError
from grapheme_numba.runs import checkpoint as checkpoints

KINDS = ("weight", "bias", "embedding", "input", "target", "overflow")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return small_data(tmp_path_factory.mktemp("data"))


class Planter:
    """Spoils one number of a run just before its `step`-th step; `expected` says how it must be named."""

    def __init__(self, kind: str, step: int, seed: int):
        self.kind, self.step, self.rng = kind, step, np.random.default_rng(seed)
        self.expected = None

    def __call__(self, run):
        self.run, real = run, run.train
        run.train = self
        self.real = real
        self.n_rows = real.n_rows

    def batches(self, *arguments, **options):
        per_epoch = -(-self.n_rows // self.run.config.batch_size)
        first = options["epoch"] * per_epoch + options["start"] if "epoch" in options else None
        for number, batch in enumerate(self.real.batches(*arguments, **options)):
            yield batch if first is None or first + number + 1 != self.step else self.spoilt(batch)

    def spoilt(self, batch):
        """Plant the NaN in the model or in a copy of the batch."""
        model = self.run.model
        dag, flat = model.dag, model.parameters
        at = np.argsort(model.from_caller_order(np.arange(flat.size, dtype=flat.dtype)))  # of the caller's elements
        topology = model.topology()
        if self.kind in ("weight", "overflow"):
            edge = int(self.rng.integers(dag.n_edge))
            if self.kind == "overflow":
                used = np.isin(topology["senders"], topology["inputs"][: model.layout.embedding_dim])
                edge = int(np.flatnonzero(used)[0])
            flat[at[edge]] = np.nan if self.kind == "weight" else 3e38
            where = f"{topology['senders'][edge]} -> {topology['receivers'][edge]}"
            self.expected = f"the weight of edge {where} is nan" if self.kind == "weight" else "example '"
        elif self.kind == "bias":
            node = int(self.rng.choice(np.setdiff1d(topology["receivers"], topology["inputs"])))
            flat[at[dag.n_edge + node]] = np.nan
            self.expected = f"the bias of node {node} is nan"
        elif self.kind == "embedding":
            token = int(self.rng.integers(model.layout.vocab_size))
            flat[at[dag.n_edge + dag.n_node + token * model.layout.embedding_dim]] = np.nan
            self.expected = f"the embedding of token {token} is nan"
        else:
            return self.spoilt_batch(batch, topology)
        if self.kind == "overflow":
            flat[dag.n_edge + dag.n_node :] = 1e5
        model.parameters_changed()
        return batch

    def spoilt_batch(self, batch, topology):
        """A copy of the batch with a NaN in an input or a target that is used."""
        layout = self.run.model.layout
        numeric = [index for index, domain in enumerate(layout.domains) if domain.input_type != "text"]
        if self.kind == "input":
            row = int(self.rng.choice(np.flatnonzero(np.isin(batch.domain, numeric))))
            domain = layout.domains[batch.domain[row]]
            column, array, start = int(self.rng.integers(domain.n_input)), batch.values.copy(), domain.input_start
        else:
            row = int(self.rng.choice(np.flatnonzero(batch.n_active)))
            domain = layout.domains[batch.domain[row]]
            column, array, start = int(self.rng.integers(domain.n_output)), batch.targets.copy(), domain.output_start
        array[row, column] = np.nan
        node = topology[f"{'inputs' if self.kind == 'input' else 'outputs'}"][start + column]
        self.expected = f"the {self.kind} of example '{batch.ids[row]}' (brain {domain.name}) at node {node}"
        return batch._replace(**{"values" if self.kind == "input" else "targets": array})


def found_and_named(data, folder, kind: str, step: int, seed: int) -> bool:
    """Whether the fault was found in its step and named right, and the last checkpoint is clean."""
    planter = Planter(kind, step, seed)
    with pytest.raises(NonFiniteError) as caught:
        train(data, folder, before=planter, save_every=1)
    said = str(caught.value)
    epoch = (step - 1) // 4 + 1
    clean = checkpoints.read(folder / "checkpoint_last")
    return (
        f"not finite in epoch {epoch}, step {step}: " in said
        and planter.expected in said
        and bool(np.isfinite(clean.parameters).all())
        and clean.progress.step == step - 1
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", [1, 6, 12])
def test_a_planted_fault_is_found_in_its_step_and_named(tmp_path, data, kind, step):
    assert found_and_named(data, tmp_path / "run", kind, step, seed=step)


@pytest.mark.long
def test_a_hundred_planted_faults(tmp_path, data, figure):
    rng = np.random.default_rng(8)
    right = 0
    for number in range(100):
        kind = ("weight", "input", "target")[number % 3]
        right += found_and_named(data, tmp_path / str(number), kind, int(rng.integers(1, 13)), number)
    figure("a NaN in a weight, input or target", f"{right} of 100 found in their step and named, the checkpoint clean")
    assert right == 100


def test_an_overflow_names_the_node_where_it_begins(tmp_path, data):
    with pytest.raises(NonFiniteError, match=r"the activation -?inf of node \d+ for example '\S+'.* \(brain \w+\)"):
        train(data, tmp_path / "run", before=Planter("overflow", 2, 1))


@pytest.mark.parametrize("accumulate", ["batch", "40", "epoch"])
def test_skip_leaves_the_bad_batch_out_and_counts_it(tmp_path, data, accumulate):
    recorder = Recorder()
    run = train(
        data,
        tmp_path / "run",
        before=Planter("target", 2, 3),
        nan_policy="skip",
        accumulate=accumulate,
        observer=recorder,
    )
    assert run.progress.n_skipped == 1
    assert np.isfinite(run.model.parameters).all()
    assert any(re.search(r"skipped a batch: .*the target of example", note) for note in recorder.notes)
    assert recorder.rows[0]["n"] == 64 - 16
    assert recorder.rows[0]["n_skipped"] == 1


def test_skip_cannot_help_a_broken_parameter(tmp_path, data):
    with pytest.raises(NonFiniteError, match="the weight of edge"):
        train(data, tmp_path / "run", before=Planter("weight", 6, 3), nan_policy="skip")


def test_rollback_goes_back_to_the_checkpoint_with_half_the_rate(tmp_path, data):
    recorder = Recorder()
    run = train(
        data, tmp_path / "run", before=Once("weight", 6, 3), nan_policy="rollback", observer=recorder, save_every=2
    )
    assert run.progress.rate_factor == 0.5
    assert run.progress.epoch == 3
    assert any("went back to step 4 with 0.5 times the learning rate" in note for note in recorder.notes)
    assert len(run.journal.rows) == run.progress.n_row == 6
    assert digest(tmp_path / "run")


def test_rollback_gives_up_when_the_rate_is_not_the_cause(tmp_path, data):
    with pytest.raises(NonFiniteError, match="halving the rate six times did not help"):
        train(data, tmp_path / "run", before=Planter("target", 6, 3), nan_policy="rollback")

    class Lost(Planter):
        def spoilt(self, batch):
            (tmp_path / "other" / "checkpoint_last" / "model.safetensors").unlink()
            return super().spoilt(batch)

    with pytest.raises(NonFiniteError, match="no checkpoint to go back to"):
        train(data, tmp_path / "other", before=Lost("target", 2, 3), nan_policy="rollback")


class Once(Planter):
    """Plants its fault the first time only."""

    def spoilt(self, batch):
        self.step = -1
        return super().spoilt(batch)


def test_rollback_in_the_first_epoch_goes_back_to_the_start(tmp_path, data):
    recorder = Recorder()
    run = train(data, tmp_path / "run", before=Once("target", 2, 3), nan_policy="rollback", observer=recorder)
    assert any("went back to step 0 with 0.5 times the learning rate" in note for note in recorder.notes)
    assert (run.progress.epoch, run.progress.n_skipped) == (3, 0)


def test_rollback_passes_a_damaged_checkpoint_and_sets_it_aside(tmp_path, data):
    folder = tmp_path / "run"

    class Damaging(Once):
        def spoilt(self, batch):
            (folder / "checkpoint_last" / "model.safetensors").write_bytes(b"broken")
            return super().spoilt(batch)

    recorder = Recorder()
    options = {"nan_policy": "rollback", "observer": recorder, "save_every": 2, "keep_last": 9}
    run = train(data, folder, before=Damaging("weight", 6, 3), **options)
    assert any("went back to step 2 with" in note for note in recorder.notes)
    assert (folder / "set_aside_1" / "checkpoint_last" / "model.safetensors").read_bytes() == b"broken"
    for kept in [*folder.glob("checkpoint_step_*"), folder / "checkpoint_last"]:
        assert checkpoints.read(kept).progress.step <= run.progress.step
    assert (folder / "checkpoint_step_00000004").exists()  # the place of the damaged one is saved again


def test_an_epoch_of_nothing_but_bad_batches_ends_the_run(tmp_path, data):
    class Every(Planter):
        def batches(self, *arguments, **options):
            yield from map(self.spoilt, self.real.batches(*arguments, **options))

    with pytest.raises(
        NonFiniteError, match=r"step 1: .*so was every batch of the epoch, and nothing is left to learn"
    ):
        train(data, tmp_path / "run", before=Every("target", 1, 3), nan_policy="skip")


def test_a_gradient_that_overflows_is_named(tmp_path, data):
    def before(run):
        real = run.model.backward_accumulate

        def backward_accumulate(gy):
            real(gy)
            run.model.gradients[:] = np.inf

        run.model.backward_accumulate = backward_accumulate

    with pytest.raises(NonFiniteError, match=r"step 1: the gradient of the weight of edge \d+ -> \d+ is inf"):
        train(data, tmp_path / "run", before=before)


def test_parameters_that_a_step_breaks_are_found_at_once(tmp_path, data):
    def before(run):
        run.rate = lambda step: 1e39

    with pytest.raises(NonFiniteError, match=r"step 1: the \w+ of .* is -?(inf|nan)"):
        train(data, tmp_path / "run", before=before)
