"""`hearthlog jobs`: the queue, and what was set aside."""

from __future__ import annotations

import json

import click

from gateway.cli.client import Request, ask


@click.group()
def jobs() -> None:
    """What waits to be understood, and what failed for good."""


@jobs.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """Show what waits for each step, and what was set aside and why."""
    found = ask(Request("GET", "/jobs"))
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    for step in found["steps"]:
        oldest = "" if step["oldest_s"] is None else f"  oldest {step['oldest_s']:.0f} s"
        click.echo(f"{step['step']:<10} {step['waiting']:>6} waiting  {step['per_minute']:>6.1f}/min{oldest}")
    for aside in found["set_aside"]:
        click.echo(f"set aside: {aside['id']}  {aside['what']}  {aside['code']}: {aside['reason']}. {aside['hint']}")
    if not found["set_aside"]:
        click.echo("Nothing set aside.")


@jobs.command()
@click.argument("job", required=False)
@click.option("--all", "everything", is_flag=True, help="Everything that was set aside.")
@click.option("--step", default="", help="Everything that was set aside by this step, such as ocr.")
def retry(job: str | None, everything: bool, step: str) -> None:
    """Try again what was set aside. JOB is a number that `hearthlog jobs list` shows."""
    if job:
        ask(Request("POST", f"/jobs/{int(job)}/retry" if job.isdigit() else "/jobs/0/retry", body={}))
        click.echo("It is tried again.")
    elif everything or step:
        done = ask(Request("POST", "/jobs/retry", body={"step": step}))
        click.echo(f"{done['retried']} are tried again.")
    else:
        raise click.UsageError("name a job, a --step, or --all")


COMMAND = jobs
