"""The checkpoints of a run as the training loop uses them: in the run's folder, for all ranks."""

from pathlib import Path

from grapheme_numba.runs import handover, run_folder, snapshot
from grapheme_numba.training.run import Run
from grapheme_numba.training.sparse_training import learns_topology


class FolderStore:
    """Keeps checkpoints in `run.folder`. Rank 0 reads and writes; see `training.run.Store`."""

    def save_last(self, run: Run) -> Path:
        """Write `checkpoint_last`, and keep as many before it as the config says. Raises OutputError."""
        return run_folder.save_last(run.folder, snapshot.take(run), run.config.keep_last)

    def save_best(self, run: Run) -> Path:
        """Write `checkpoint_best`. Raises OutputError."""
        return run_folder.save_best(run.folder, snapshot.take(run))

    def restore_newest(self, run: Run) -> list[str] | None:
        """Put the run back where its newest whole checkpoint stands; what is later is set aside."""
        checkpoint, notes = handover.newest(run)
        if checkpoint is None:
            return None
        if learns_topology(run.config):
            run.model = snapshot.restore_model(checkpoint)
        run.state = snapshot.fill(run.model, checkpoint)
        run.progress = checkpoint.progress
        run.journal.cut(run.progress.n_row)
        if run.team.writes:
            run_folder.set_aside_later(run.folder, checkpoint)
        run.saved_at = run.position()
        return notes
