"""Between a model in memory and a checkpoint's arrays, in both directions."""

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from grapheme_numba.data.codec.layout import Layout
from grapheme_numba.errors import CheckpointError, GraphemeError, NonFiniteError
from grapheme_numba.models.brain_model import BrainModel
from grapheme_numba.network.dagnn import DagNN
from grapheme_numba.network.embedding import Embedding
from grapheme_numba.network.parameters import in_order
from grapheme_numba.optim.optimizers import OptimizerState, gradient_norm
from grapheme_numba.runs.checkpoint import Checkpoint
from grapheme_numba.training.baseline import ConstantBaseline
from grapheme_numba.training.config import Config
from grapheme_numba.training.run import Run
from grapheme_numba.training.tasks import find_task


def take(run: Run) -> Checkpoint:
    """The run as it stands. Raises NonFiniteError rather than saving a broken model."""
    model, state, progress, order = run.model, run.state, run.progress, run.model.to_caller_order
    if not np.isfinite(gradient_norm(model.parameters)):
        raise NonFiniteError(
            f"parameters are not finite at step {progress.step}, so no checkpoint was written; "
            "resume from the one before with a lower --lr or with --clip-grad-norm"
        )
    return Checkpoint(
        task=run.task,
        config=run.config,
        layout=model.layout.to_dict(),
        progress=msgspec.convert(msgspec.to_builtins(progress), type(progress)),
        baseline=msgspec.to_builtins(run.baselines),
        fingerprint=run.fingerprint,
        topology=topology_of(model, run.config),
        parameters=order(model.parameters),
        optimizer=OptimizerState(state.count, {name: order(v) for name, v in state.moments.items()}),
        gradient=order(model.gradients) if progress.n_accumulated else None,
    )


def topology_of(model: BrainModel, config: Config) -> dict[str, npt.NDArray[Any]]:
    """The graph as arrays; with drop-and-grow also its internal order, which decides how sums round."""
    if config.evolve == "none":
        return model.topology()
    return {**model.topology(), "node_order": model.dag.dag.node_order, "level_start": model.dag.dag.level_start}


def restore_model(checkpoint: Checkpoint) -> BrainModel:
    """The model of a checkpoint. Raises CheckpointError where its parts do not make one."""
    try:
        layout = Layout.from_dict(checkpoint.layout)
        if layout.vocab_size * layout.embedding_dim > checkpoint.parameters.size:  # before memory is asked for it
            raise CheckpointError(f"embeddings of {layout.vocab_size} times {layout.embedding_dim} numbers do not fit")
        dag = DagNN.from_topology(checkpoint.topology, dtype=checkpoint.parameters.dtype.name)
        if "node_order" in checkpoint.topology:
            in_order(dag, checkpoint.topology["node_order"], checkpoint.topology["level_start"])
        embedding = Embedding(layout.vocab_size, layout.embedding_dim, init="zero", dtype=dag.dtype)
        model: BrainModel = find_task(checkpoint.task).model(layout, dag, embedding)
    except (GraphemeError, msgspec.ValidationError, KeyError, ValueError, TypeError, IndexError) as error:
        raise CheckpointError(f"the checkpoint's layout and topology make no model: {error}") from None
    fill(model, checkpoint)
    return model


def fill(model: BrainModel, checkpoint: Checkpoint) -> OptimizerState:
    """Overwrite the parameters and gradients of `model`; return the optimiser state in its order."""
    if checkpoint.parameters.shape != model.parameters.shape:
        raise CheckpointError(
            f"the checkpoint holds {checkpoint.parameters.size} parameters, this model has {model.parameters.size}; "
            "it belongs to another topology"
        )
    order = model.from_caller_order
    model.parameters[:] = order(checkpoint.parameters)
    model.parameters_changed()
    model.zero_grad()
    if checkpoint.gradient is not None:
        model.gradients[:] = order(checkpoint.gradient)
    moments = {name: order(array) for name, array in checkpoint.optimizer.moments.items()}
    return OptimizerState(checkpoint.optimizer.count, moments)


def restore_baselines(checkpoint: Checkpoint) -> dict[str, ConstantBaseline]:
    """The training split's constant answers. Raises CheckpointError."""
    try:
        return msgspec.convert(checkpoint.baseline, dict[str, ConstantBaseline])
    except msgspec.ValidationError as error:
        raise CheckpointError(f"the checkpoint's constant answers are not readable: {error}") from None
