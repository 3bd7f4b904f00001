"""`grapheme-train agi`: one DAG over mixed examples.

Domains of one input type share an input slice, so the network itself has to tell a sum from a question;
each domain answers through outputs of its own.
"""

from grapheme_numba.training.task import Task


def build(summary, config):
    """A fresh model for the data that `summary` describes."""
    from grapheme_numba.dataset.layout import shared_layout
    from grapheme_numba.training.building import build_model

    return build_model(shared_layout(summary, config.embedding_dim), config)


TASK = Task(name="agi", defaults={}, build=build)
