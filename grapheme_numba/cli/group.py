"""Commands started many times by `mpiexec` speak once."""

import sys

import click

from grapheme_numba.distributed.launcher import place


class OneVoice(click.Group):
    """A group whose commands run on rank 0 alone, but for those in `for_all`; only rank 0 explains a usage error."""

    for_all: tuple[str, ...] = ()

    def main(self, args=None, *others, **options):
        """Run the command line; see `click.Group.main`."""
        if place() == 0:
            return super().main(args, *others, **options)
        given = list(sys.argv[1:] if args is None else args)
        if not given or given[0] not in self.for_all or {"-h", "--help", "--version"} & set(given):
            sys.exit(0)
        try:
            return super().main(args, *others, **{**options, "standalone_mode": False})
        except click.ClickException as error:
            sys.exit(error.exit_code)
