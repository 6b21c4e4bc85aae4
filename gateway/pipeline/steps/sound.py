"""Name the sounds in a recording. `data`: events [{label, score, start_us, end_us}]."""

from __future__ import annotations

from gateway.entities import Annotation, Capture, Kind
from gateway.pipeline.step import Context, Step

SURE = 0.5
_SILENT = frozenset({"Silence"})


async def run(capture: Capture, ctx: Context) -> Annotation:
    heard = await ctx.infer("sound", capture)
    events = [event for event in heard["events"] if event["label"] not in _SILENT]
    tags = dict.fromkeys(event["label"] for event in events if event["score"] >= SURE)
    return Annotation(data={"events": events}, tags=tuple(tags), provenance=ctx.provenance())


STEP = Step(name="sound", version=1, takes=(Kind.AUDIO,), run=run, label="Sounds", tasks=("sound",), lane="listen")
