"""The first run: who looks after this home, the first camera, and what the box should understand."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from aiohttp import web

from gateway.config import zone_name
from gateway.inference.board import Board, this_board
from gateway.inference.models import Installed, Models, State
from gateway.web.page import FIRST_RUN, SIGN_IN, Page, render
from gateway.web.pages import words
from gateway.web.pages.cards import TOPICS
from gateway.web.parts import PARTS, VIEWER


@dataclass(frozen=True, slots=True)
class Step:
    """One page of the three."""

    number: int
    title: str
    lead: str


_WHO = "This person can add cameras and people, and erase things. You can name others later."
STEPS = (
    Step(1, "Who looks after this home?", _WHO),
    Step(2, "Add the first camera", "Any camera that can publish a picture over MQTT will do. This step can wait."),
    Step(3, "What should it understand?", "Pictures are kept and dated even with none of these."),
)


@dataclass(frozen=True, slots=True)
class ModelLine:
    """One model as step 3 lists it."""

    name: str
    title: str
    about: str
    size: str
    licence: str
    state: str
    tone: str
    icon: str
    command: str


_TASKS = {
    "detect": ("Objects", "people, cats, cars, parcels"),
    "classify": ("Kinds of things", "a second look at what was found"),
    "ocr": ("Printed text", "labels, signs, screens"),
    "embed-text": ("Find by meaning", "search in your own words"),
    "embed-image": ("Find what looks alike", "similar pictures"),
    "vad": ("Voices", "where somebody speaks"),
    "asr": ("Speech", "what was said, in English"),
    "asr-draft": ("Speech, a draft", "heard roughly, marked so"),
    "embed-speaker": ("Who spoke", "one voice from another, without names"),
    "sound": ("Sounds", "doorbell, barking, alarms"),
    "caption": ("Captions", "a sentence for each picture"),
    "pixels": ("Light and sharpness", "dark, blurred or covered"),
    "copy-vector": ("Copies", "the same picture cut, turned or framed"),
    "thumbnail": ("Small pictures", "for these pages"),
}

_FAULTS = {
    "wrong-code": ("code", "That is not the code. The console shows it; after five tries it shows a new one."),
    "claimed": ("code", "This home has an admin already. Sign in instead."),
    "bad-name": ("name", "This name cannot be used. Letters, digits and spaces, at most 64."),
    "password-short": ("password", "Use at least 12 characters; three or four words are good."),
    "password-long": ("password", "This password is too long."),
}


def model_line(each: Installed, board: Board) -> ModelLine:
    """One model in words."""
    manifest = each.manifest
    title, about = _TASKS.get(manifest.task, (words.step_name(manifest.task), ""))
    total = sum(file.bytes for file in manifest.files)
    size = words.size(total) if total else "comes with the box"
    command = manifest.command
    match each.state:
        case State.READY:
            state, tone, icon, command = "Here and checked", "good", "check", ""
        case State.BROKEN:
            state, tone, icon = f"Wrong fingerprint, not used: {each.reason}", "wrong", "warn"
        case _:
            unfit = board.unfit(manifest)
            state, tone, icon = f"Not here: {unfit}" if unfit else "Not here yet", "quiet", "load"
    return ModelLine(manifest.name, title, about, size, manifest.licence, state, tone, icon, command)


async def _show(request: web.Request) -> web.StreamResponse:
    parts = request.app[PARTS]
    if await parts.accounts.first_run():
        step = STEPS[0]
    elif request.get(VIEWER) is None:
        raise web.HTTPSeeOther(SIGN_IN)
    else:
        step = STEPS[2] if request.query.get("step") == "3" else STEPS[1]
    models: list[ModelLine] = []
    if step.number == 3:
        board = this_board(tier=parts.settings.models.tier)
        found = await asyncio.to_thread(Models(parts.settings.home, board=board).installed)
        plain = [each for each in found if each.manifest.files and not each.manifest.optional]
        models = [model_line(each, board) for each in plain]
    code = request.query.get("error", "")
    fault_at, fault = _FAULTS.get(code, ("code", "That did not work. Try again.") if code else ("", ""))
    zone = zone_name(parts.settings)
    return await render(
        request,
        "first_run.html",
        step=step,
        fault=fault,
        fault_at=fault_at,
        zone=zone.rpartition("/")[2].replace("_", " "),
        now=words.clock(parts.clock(), zone),
        root=TOPICS,
        host=request.url.host or "localhost",
        models=models,
    )


PAGE = Page(path=FIRST_RUN, name="first-run", handler=_show, public=True)
