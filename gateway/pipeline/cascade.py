"""Cascade: what costs sees key frames only."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.entities import Annotation, Capture, Stored
from gateway.pipeline.step import Step
from gateway.store import duplicates, jobs, understood
from gateway.store.db import Connection
from gateway.store.understood import FOLDED_KINDS

_WHY = {
    "exact": "the same file as an earlier one",
    "reencoded": "the same picture as an earlier one",
    "burst": "of a burst whose first picture was looked at",
    "static": "the same still scene as an earlier picture",
}


def pass_over(connection: Connection, steps: Mapping[str, Step], capture: Capture, said: Stored) -> list[str]:
    """Within the transaction that says a picture is folded: keep the reason why what costs does not see it.

    Returns those steps. What one of them said before stands. What counts is what stands: a person may have said
    otherwise than the step.
    """
    copy = understood.duplicate_of(connection, capture.id) if said.step == duplicates.STEP else None
    if copy is None or copy.kind not in FOLDED_KINDS:
        return []
    costly = [step for step in steps.values() if step.key_frames_only and capture.kind in step.takes]
    settled, queued = jobs.standing(connection, capture.id)
    for step in costly:
        if step.name not in settled | queued:
            understood.put_skip(
                connection,
                Stored(
                    capture_id=capture.id,
                    step=step.name,
                    step_version=step.version,
                    fingerprint=said.fingerprint,
                    at_us=said.at_us,
                    took_ms=0.0,
                    annotation=Annotation(),
                    skipped=_WHY[copy.kind.value],
                    skip_code="folded",
                    hint="",
                ),
            )
    return [step.name for step in costly]
