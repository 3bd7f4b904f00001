"""Between a model in memory and a checkpoint's arrays, in both directions."""

import msgspec
import numpy as np

from grapheme_numba.data.codec.layout import Layout
from grapheme_numba.errors import CheckpointError, GraphemeError, NonFiniteError
from grapheme_numba.models.brain_model import BrainModel
from grapheme_numba.network.dagnn import DagNN
from grapheme_numba.network.embedding import Embedding
from grapheme_numba.optim.optimizers import OptimizerState, gradient_norm
from grapheme_numba.runs.checkpoint import Checkpoint
from grapheme_numba.sparsity.evolve import in_order
from grapheme_numba.training.baseline import Constant


def take(task, config, model, optimizer, progress, constants, fingerprint) -> Checkpoint:
    """The run as it stands. Raises NonFiniteError rather than saving a broken model."""
    if not np.isfinite(gradient_norm(model.parameters)):
        raise NonFiniteError(
            f"parameters are not finite at step {progress.step}, so no checkpoint was written; "
            "go on from the one before with a lower --lr or with --clip-grad-norm"
        )
    order = model.to_caller_order
    return Checkpoint(
        task=task,
        config=config,
        layout=model.layout.to_dict(),
        progress=msgspec.convert(msgspec.to_builtins(progress), type(progress)),
        baseline=msgspec.to_builtins(constants),
        fingerprint=fingerprint,
        topology=topology_of(model, config),
        parameters=order(model.parameters),
        optimizer=OptimizerState(optimizer.count, {name: order(v) for name, v in optimizer.moments.items()}),
        gradient=order(model.gradients) if progress.n_accumulated else None,
    )


def topology_of(model, config) -> dict[str, np.ndarray]:
    """The graph as arrays; where edges move also its internal order, which decides how sums round."""
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
        model = BrainModel(layout, dag, embedding)
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


def restore_constants(checkpoint: Checkpoint) -> dict[str, Constant]:
    """The training split's constant answers. Raises CheckpointError."""
    try:
        return msgspec.convert(checkpoint.baseline, dict[str, Constant])
    except msgspec.ValidationError as error:
        raise CheckpointError(f"the checkpoint's constant answers are not readable: {error}") from None
