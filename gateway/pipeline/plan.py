"""Find the steps, put them in order, and refuse a plan that cannot be done."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

from gateway.discover import discover
from gateway.entities import Kind
from gateway.errors import ConfigError
from gateway.pipeline.step import Step
from gateway.spool import Plan

STEPS_PACKAGE = "gateway.pipeline.steps"


def find_steps() -> dict[str, Step]:
    """Every step, in an order in which each comes after what it reads (ties by name).

    Raises ConfigError for a step that reads one that is not there, and for a circle.
    """
    found = discover(STEPS_PACKAGE, "STEP", Step)
    for step in found.values():
        for name in step.after:
            if name not in found:
                raise ConfigError(f"step {step.name} comes after {name}, which is not there", where=step.name)
    sorter = TopologicalSorter({name: sorted(step.after) for name, step in sorted(found.items())})
    try:
        sorter.prepare()
    except CycleError as error:
        raise ConfigError(f"steps wait for each other: {' → '.join(error.args[1])}") from error
    ordered: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        ordered += ready
        sorter.done(*ready)
    return {name: found[name] for name in ordered}


def queue_plan(steps: Mapping[str, Step]) -> Plan:
    """The same, as the queue needs it: per kind, each step with those of that kind it waits for."""
    return Plan(
        {
            kind: {
                name: tuple(other for other in step.after if kind in steps[other].takes)
                for name, step in steps.items()
                if kind in step.takes
            }
            for kind in Kind
        }
    )
