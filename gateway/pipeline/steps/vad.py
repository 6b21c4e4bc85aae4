"""Where somebody speaks in a recording. `data`: speech [{start_us, end_us}], duration_us."""

from __future__ import annotations

from gateway.entities import Annotation, Capture, Kind
from gateway.pipeline.step import Context, Step


async def run(capture: Capture, ctx: Context) -> Annotation:
    heard = await ctx.infer("vad", capture)
    speech = heard["speech"]
    return Annotation(
        data={"speech": speech, "duration_us": heard["duration_us"]},
        segments=tuple((part["start_us"], part["end_us"]) for part in speech),
        provenance=ctx.provenance(),
    )


STEP = Step(name="vad", version=1, takes=(Kind.AUDIO,), run=run, label="Voices", tasks=("vad",), lane="listen")
