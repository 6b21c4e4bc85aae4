"""Do again what other models would answer now than those that did (docs/decisions/034)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from gateway.entities import Priority
from gateway.inference.workers import Workers
from gateway.pipeline.answers import answering, outdated, unanswered
from gateway.pipeline.step import Step
from gateway.spool import Spool
from gateway.store import asked, captures, jobs, spaces
from gateway.store.db import Connection

_AT_ONCE = 500


async def catch_up(spool: Spool, steps: Mapping[str, Step], *, workers: Workers, at_us: int) -> int:
    """Queue, as backlog, every capture of which a step's answer is outdated: for want of a model that is there now, or
    because another one serves best. What is made from it follows by itself, so it is not queued beside it.

    Returns how many jobs were queued. Called at start and after models came or went; a few at a time, so that no
    acknowledgement waits for it.
    """
    queued = 0
    spaced = await spool.db.read(spaces.roles)  # their vectors are made anew side by side: see `jobs.reembed`
    for name, step in steps.items():
        now = answering(step.tasks, workers)
        told = await spool.db.read(partial(asked.known, step=name))
        old = [
            number
            for number, said in told.items()
            if outdated(unanswered(said) if name in spaced else said, now, workers)
        ]
        found = await spool.db.read(partial(asked.captures, numbers=old, folded=not step.key_frames_only))
        for start in range(0, len(found), _AT_ONCE):
            some = found[start : start + _AT_ONCE]
            queued += await spool.db.write(partial(_requeue, spool=spool, step=name, found=some, at_us=at_us))
    return queued


def _requeue(connection: Connection, *, spool: Spool, step: str, found: Sequence[int], at_us: int) -> int:
    queued = 0
    for capture_id in found:
        capture = captures.get(connection, capture_id)
        if capture is None:
            continue  # erased since it was read
        settled, waiting = jobs.standing(connection, capture_id)
        if spool.plan.ready(capture.kind, step, settled=settled, queued=waiting):
            spool.requeue(connection, capture_id=capture_id, step=step, at_us=at_us, priority=Priority.BACKLOG)
            queued += 1
    return queued
