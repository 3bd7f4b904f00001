"""How a run gets from rank 0 to the others: as a checkpoint, over the network instead of the disk.
`FolderStore` is how the training loop sees checkpoints: those in the run's folder, for all ranks.

So only rank 0 looks at options, folders and checkpoints, and all begin with the same bits. The others
still open the data themselves and check that it is the same.
"""

from pathlib import Path

import msgspec

from grapheme_numba.distributed.comm import Ranks, Serial
from grapheme_numba.runs import checkpoint as checkpoints
from grapheme_numba.runs import run_folder
from grapheme_numba.runs.checkpoint import Checkpoint
from grapheme_numba.runs.resume import Start
from grapheme_numba.training.run import Run
from grapheme_numba.training.sparse_training import learns_topology

FROM = Path("what rank 0 sent")


class RunMessage(msgspec.Struct, frozen=True):
    """What rank 0 sends: task, folder, resuming command, and a checkpoint's manifest. An empty task: nothing to do."""

    task: str = ""
    folder: str = ""
    manifest: bytes = b""
    command: str = ""


def give(run: Run) -> None:
    """Rank 0: hand the prepared run to all others."""
    _give(run.team.comm, checkpoints.take(run), run.folder, run.command())


def dismiss(comm: Serial | Ranks) -> None:
    """Rank 0: there is nothing to train."""
    comm.broadcast(msgspec.msgpack.encode(RunMessage()))


def take(comm: Serial | Ranks) -> tuple[str, Start, str] | None:
    """The others: task and start of the run, the command that resumes it; None where there is nothing to train."""
    message, checkpoint = _take(comm)
    if checkpoint is None:
        return None
    return message.task, Start(checkpoint.config, Path(message.folder), checkpoint, None, []), message.command


def newest(run: Run) -> tuple[Checkpoint | None, list[str]]:
    """`run_folder.newest`, read by rank 0 for all."""
    comm = run.team.comm
    if run.team.alone:
        return run_folder.newest(run.folder)
    if not run.team.writes:
        return _take(comm)[1], []
    checkpoint, notes = run_folder.newest(run.folder)
    if checkpoint is None:
        dismiss(comm)
    else:
        _give(comm, checkpoint, run.folder)
    return checkpoint, notes


def _give(comm: Serial | Ranks, checkpoint: Checkpoint, folder: Path, command: str = "") -> None:
    manifest = checkpoints.manifest_bytes(checkpoints.manifest_of(checkpoint, {}))
    comm.broadcast(msgspec.msgpack.encode(RunMessage(checkpoint.task, str(folder), manifest, command)))
    comm.broadcast(b"".join(checkpoints.tensor_file_parts(checkpoints.named_arrays(checkpoint))))


def _take(comm: Serial | Ranks) -> tuple[RunMessage, Checkpoint | None]:
    message = msgspec.msgpack.decode(comm.broadcast(None, "prepares the run"), type=RunMessage)
    if not message.task:
        return message, None
    manifest = checkpoints.parse_manifest(message.manifest, str(FROM))
    return message, checkpoints.assemble(manifest, checkpoints.parse_tensors(comm.broadcast(None), str(FROM)), FROM)


class FolderStore:
    """Keeps checkpoints in `run.folder`. Rank 0 reads and writes; see `training.run.Store`."""

    def save_last(self, run: Run) -> Path:
        """Write `checkpoint_last`, and keep as many before it as the config says. Raises OutputError."""
        return run_folder.save_last(run.folder, checkpoints.take(run), run.config.keep_last)

    def save_best(self, run: Run) -> Path:
        """Write `checkpoint_best`. Raises OutputError."""
        return run_folder.save_best(run.folder, checkpoints.take(run))

    def restore_newest(self, run: Run) -> list[str] | None:
        """Put the run back where its newest whole checkpoint stands; what is later is set aside."""
        checkpoint, notes = newest(run)
        if checkpoint is None:
            return None
        if learns_topology(run.config):
            run.model = checkpoints.restore_model(checkpoint)
        run.state = checkpoints.restore_into(run.model, checkpoint)
        run.progress = checkpoint.progress
        run.journal.cut(run.progress.n_row)
        if run.team.writes:
            run_folder.set_aside_later(run.folder, checkpoint)
        run.saved_at = run.position()
        return notes
