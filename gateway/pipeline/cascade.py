"""Cascade: what costs sees key frames only."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.entities import Annotation, Capture, Stored
from gateway.pipeline.step import Step
from gateway.store import captures, jobs
from gateway.store.captures import FOLDED_KINDS
from gateway.store.db import Connection

_WHY = {
    "exact": "the same file as an earlier one",
    "reencoded": "the same picture as an earlier one",
    "burst": "of a burst whose first picture was looked at",
    "static": "the same still scene as an earlier picture",
}


def pass_over(connection: Connection, steps: Mapping[str, Step], capture: Capture, said: Stored) -> None:
    """Within the transaction that says a picture is folded: take what costs off its queue, with the reason kept."""
    copy = said.annotation.duplicate
    if copy is None or copy.kind not in FOLDED_KINDS:
        return
    for step in steps.values():
        if step.key_frames_only and capture.kind in step.takes and jobs.drop(connection, capture.id, [step.name]):
            captures.put_skip(
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
