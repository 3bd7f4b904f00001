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


class Together(Observer):
    """Several observers as one, told in their order."""

    def __init__(self, *observers: Observer):
        self.observers = observers

    def note(self, text):
        """One plain sentence about what happens now."""
        for one in self.observers:
            one.note(text)

    def started(self, run):
        """Training begins or goes on."""
        for one in self.observers:
            one.started(run)

    def after_batch(self, run):
        """A batch is done."""
        for one in self.observers:
            one.after_batch(run)

    def validating(self, n_done, n_total):
        """So many of the validation examples are done."""
        for one in self.observers:
            one.validating(n_done, n_total)

    def epoch_closed(self, rows):
        """The rows that the epoch added."""
        for one in self.observers:
            one.epoch_closed(rows)

    def saved(self, folder):
        """A checkpoint stands."""
        for one in self.observers:
            one.saved(folder)

    def finished(self, run):
        """Training came to its end."""
        for one in self.observers:
            one.finished(run)

    def close(self):
        """No more will come."""
        for one in self.observers:
            one.close()
