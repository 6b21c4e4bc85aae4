"""`hearthlog plan`."""

from __future__ import annotations

import json

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plan(as_json: bool) -> None:
    """Print the steps of the pipeline in their order."""
    from gateway.pipeline.plan import find_steps

    steps = find_steps()
    if as_json:
        click.echo(
            json.dumps(
                [
                    {
                        "name": step.name,
                        "version": step.version,
                        "takes": [kind.value for kind in step.takes],
                        "after": list(step.after),
                        "tasks": list(step.tasks),
                        "lane": step.lane,
                    }
                    for step in steps.values()
                ],
                indent=2,
            )
        )
        return
    for step in steps.values():
        kinds = ", ".join(kind.value for kind in step.takes)
        after = f"after {', '.join(step.after)}" if step.after else "first"
        click.echo(f"{step.name:<10} v{step.version}  {kinds:<20} {after}")


COMMAND = plan
