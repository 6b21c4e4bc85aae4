"""Say what can be seen or heard, in one sentence made of what was found, and nothing else.

Objects (sure boxes, counted), what the picture is mostly of, printed words, a fault of the picture, the light. A label
of the classifier that a found object covers (a "tabby" beside a "cat") is left out by its hypernym, and so is what is
uncertain. A generative captioner takes this one's place when its model is there and has something to say: its sentence
names the model, and what was read in the picture is quoted after it. A picture with a fault is never shown to it.

`data`: says (`objects`, `print`, `label`, `sound`, `light`, `pixels`: which kinds of evidence it used); of a captioner
also confidence (0..1) and stopped (`end`, `length`: cut there). Where one was asked and this one stands all the same,
captioner says why, for people.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from gateway.entities import Annotation, Capture, Json, Kind
from gateway.errors import ModelBroken, ModelMissing, Skip
from gateway.pipeline.hypernyms import covered
from gateway.pipeline.step import Context, Step

OBJECT = 0.5
LABEL = 0.6
PRINT = 0.75
MAX_THINGS = 5
MAX_PRINT = 60
MAX_GENERATED = 400
"""Characters of a captioner's sentence."""
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_PLURALS = {"person": "people", "knife": "knives", "mouse": "mice", "sheep": "sheep", "scissors": "scissors"}
_MASS = frozenset({"scissors", "sheep"})
_LIGHT = {"night": "at night", "dim": "in dim light", "bright": "in bright light", "day": ""}
_READS = " It reads “{}”."
_SILENT = {"time": "took too long", "abstained": "does not know this place"}
"""Why a captioner's answer is not used, by how it stopped."""
_FAULTS = {
    "covered": "The camera sees next to nothing: it may be covered.",
    "overexposed": "A picture with far too much light.",
}


async def run(capture: Capture, ctx: Context) -> Annotation:
    if capture.kind is Kind.AUDIO:
        return _of_sound(ctx)
    quality = ctx.said("quality") or {}
    if quality.get("fault") in _FAULTS:
        return Annotation(caption=_FAULTS[quality["fault"]], data={"says": ["light"]})
    words = _print(ctx.said("ocr"))
    generated = await _generated(capture, ctx, words)
    if isinstance(generated, Annotation):
        return generated
    boxes = [box for box in (ctx.said("detect") or {}).get("boxes", []) if box["score"] >= OBJECT]
    counts = Counter(box["label"] for box in boxes)
    things = [_counted(label, number) for label, number in counts.most_common(MAX_THINGS)]
    says = ["objects"] if things else []
    for label in (ctx.said("classify") or {}).get("labels", []):
        if label["score"] >= LABEL and not covered(label["label"], counts):
            things.append(_article(label["label"]))
            says.append("label")
            break
    if words:
        says.append("print")
    light = _LIGHT.get(str(quality.get("light", "")), "")
    why = {"captioner": generated} if generated else {}
    return Annotation(caption=_sentence(things, words, light), data={"says": [*says, "light"], **why})


async def _generated(capture: Capture, ctx: Context, words: str) -> Annotation | str:
    """A captioner's sentence, and the words that were read. Otherwise why there is none: it does not know what it sees,
    has nothing to say, or did not come to an end in its time; empty without a captioner or an original to show it."""
    if capture.blob is None:
        return ""
    try:
        answer = await ctx.infer("caption", capture)
    except (ModelMissing, ModelBroken):
        return ""  # what is composed does not need it
    sentence = " ".join(str(answer["caption"]).split())[:MAX_GENERATED].rstrip(" .")
    if not sentence or answer["stopped"] == "time":
        return f"{ctx.provenance().model} {_SILENT.get(str(answer['stopped']), 'has nothing to say of it')}"
    return Annotation(
        caption=f"{sentence[0].upper()}{sentence[1:]}.{_READS.format(words) if words else ''}",
        data={
            "says": ["pixels", "print"] if words else ["pixels"],
            "confidence": answer["confidence"],
            "stopped": answer["stopped"],
        },
        provenance=ctx.provenance(),
    )


def _of_sound(ctx: Context) -> Annotation:
    events = (ctx.said("sound") or {}).get("events", [])
    labels = list(dict.fromkeys(event["label"] for event in events if event["score"] >= OBJECT))
    if not labels:
        raise Skip("no sound could be named", code="nothing-named")
    return Annotation(
        caption=f"Heard: {_joined([label.lower() for label in labels[:MAX_THINGS]])}.", data={"says": ["sound"]}
    )


def _sentence(things: list[str], words: str, light: str) -> str:
    if things:
        first = _joined(things)
        first = first[0].upper() + first[1:] + (f", {light}" if light else "")
        return f"{first}.{_READS.format(words)}" if words else f"{first}."
    if words:
        return f"Printed words{f', {light}' if light else ''}: “{words}”."
    return {
        "at night": "A night picture.",
        "in dim light": "A picture in dim light.",
        "in bright light": "A bright picture.",
    }.get(light, "A picture in daylight.")


def _print(ocr: Json | None) -> str:
    lines = [line["text"].strip() for line in (ocr or {}).get("lines", []) if line["score"] >= PRINT]
    lines = [line for line in lines if sum(character.isalnum() for character in line) >= 2]
    text = " / ".join(lines)
    return text if len(text) <= MAX_PRINT else text[:MAX_PRINT].rsplit(" ", 1)[0] + " …"


def _counted(label: str, number: int) -> str:
    if number == 1:
        return label if label in _MASS else _article(label)
    word = _NUMBERS[number] if number < len(_NUMBERS) else "many"
    return f"{word} {_plural(label)}"


def _plural(label: str) -> str:
    if label in _PLURALS:
        return _PLURALS[label]
    if label.endswith(("s", "x", "ch", "sh")):
        return label + "es"
    return label + "s"


def _article(label: str) -> str:
    return f"{'an' if label[:1].lower() in 'aeiou' else 'a'} {label}"


def _joined(parts: Iterable[str]) -> str:
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last


STEP = Step(
    name="caption",
    version=1,
    takes=(Kind.IMAGE, Kind.AUDIO),
    run=run,
    label="Caption",
    after=("quality", "detect", "dedupe", "classify", "ocr", "sound"),
    tasks=("caption",),
    key_frames_only=True,
    lane="read",
)
