"""What a run tells whoever watches it: nothing by default. The command line draws; tests record."""


class Observer:
    """Override what is of interest. No method may change the run."""

    def note(self, text: str) -> None:
        """One plain sentence about what happens now."""

    def started(self, run) -> None:
        """Training begins or goes on; `run.progress` says from where."""

    def after_batch(self, run) -> None:
        """A batch is done."""

    def validating(self, n_done: int, n_total: int) -> None:
        """So many of the validation examples are done."""

    def epoch_closed(self, rows: list[dict]) -> None:
        """The rows that the epoch added to metrics.jsonl: its own and, when validated, a second."""

    def saved(self, folder) -> None:
        """A checkpoint stands at `folder`."""

    def finished(self, run) -> None:
        """Training came to its end and all is written."""

    def close(self) -> None:
        """No more will come, whatever the reason."""
