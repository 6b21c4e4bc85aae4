"""The command line. Each module of this package holds one command or group as `COMMAND`; it parses, calls, prints.

Nothing heavy is imported until a command runs, so that `hearthlog --help` answers at once.
"""

from __future__ import annotations

import sys

import click

from gateway import __version__
from gateway.discover import discover
from gateway.errors import ConfigError


class _Commands(click.Group):
    """Finds the commands in this package."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(discover("gateway.cli", "COMMAND", click.Command))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return discover("gateway.cli", "COMMAND", click.Command).get(cmd_name)


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hearthlog")
def root() -> None:
    """A home's own memory: what its cameras saw and heard, kept and found on this box.

    To look around, without a camera: hearthlog demo. When something is wrong: hearthlog doctor.

    Everything is kept in the folder that HEARTHLOG_HOME names (else ~/.local/share/hearthlog). Settings are in its
    hearthlog.toml, each also a variable such as HEARTHLOG_HTTP_PORT; docs/settings.md lists them.
    """


def main() -> None:
    """Run, and turn what went wrong into a line and an exit status: 1 failed, 2 wrong usage."""
    try:
        root(prog_name="hearthlog")
    except Exception as error:  # the last door: what nobody can explain goes on as it is
        from gateway.cli.trouble import explained

        told = explained(error)
        if told is None:
            raise
        click.echo(f"hearthlog: {told}", err=True)
        sys.exit(2 if isinstance(told, ConfigError) else 1)
