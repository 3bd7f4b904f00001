"""`report.html`: a run on one page that needs no network."""


def render(run) -> str:
    """The page of a run."""
    return "<!doctype html>"
