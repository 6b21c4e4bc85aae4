"""`hearthlog serve`."""

from __future__ import annotations

import click


@click.command()
@click.option("-v", "--verbose", is_flag=True, help="Log every small thing.")
def serve(verbose: bool) -> None:
    """Run the gateway: take in, understand, show. Stop it with Ctrl-C.

    It says where its pages are: http://localhost:8480, unless http.host or http.port are set.
    """
    import asyncio

    from gateway import config, footprint, logs

    footprint.keep_small()

    from gateway.app import serve as run

    logs.set_up(verbose=verbose)
    asyncio.run(run(config.load(), say=click.echo))


COMMAND = serve
