"""Vosk without its weights, which are at no place that could be reached: what stands for them, and what does not pass
for them. What the library answers is read as its own examples print it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gateway.entities import Json
from gateway.errors import ModelBroken, ModelMissing
from gateway.inference.families import vosk
from gateway.inference.family import Options
from gateway.inference.manifest import ModelFile, read_manifests
from gateway.inference.models import Models, State, file_sha256
from gateway.inference.sounds import RATE_HZ, pcm16
from gateway.inference.workers import Budget, open_workers
from tests.contract import inference_house as house
from tests.contract.shapes import SHAPES

MANIFEST = read_manifests()["vosk-small-en"]
RESULT: Json = {
    "result": [
        {"conf": 1.0, "end": 1.11, "start": 0.87, "word": "one"},
        {"conf": 0.728, "end": 1.53, "start": 1.11, "word": "zero"},
    ],
    "text": "one zero",
}
"""With SetWords(True), as vosk-api's examples print it."""
LAST: Json = {"result": [{"conf": 0.4, "end": 2.4, "start": 2.1, "word": "w" * 900}], "text": "w" * 900}
SILENT: Json = {"text": ""}


class Recogniser:
    """Answers as KaldiRecognizer does: a result where an utterance ended, and the rest at the end."""

    def __init__(self, results: list[Json], last: Json) -> None:
        self.heard = 0
        self._results = results
        self._last = last

    def AcceptWaveform(self, pcm: bytes) -> bool:
        self.heard += len(pcm)
        return bool(self._results)

    def Result(self) -> str:
        return json.dumps(self._results.pop(0))

    def FinalResult(self) -> str:
        return json.dumps(self._last)


def test_every_result_is_read_with_the_times_of_its_stretch() -> None:
    recogniser = Recogniser([RESULT, SILENT], LAST)
    pcm = pcm16(np.zeros(3 * RATE_HZ, np.float32))
    words = vosk.words_of(recogniser, pcm, 5_000_000)
    assert recogniser.heard == len(pcm)
    assert words[:2] == [
        {"word": "one", "start_us": 5_870_000, "end_us": 6_110_000, "confidence": 1.0},
        {"word": "zero", "start_us": 6_110_000, "end_us": 6_530_000, "confidence": 0.728},
    ]
    assert len(words) == 3 and words[2]["word"] == "w" * 100
    text = " ".join(each["word"] for each in words)
    SHAPES["asr"]({"text": text, "words": words, "confidence": 0.7, "heard_us": 3_000_000})
    assert vosk.words_of(Recogniser([], SILENT), pcm, 0) == []


def test_without_its_weights_it_is_missing_and_the_command_that_fetches_them_is_told(tmp_path: Path) -> None:
    models = Models(tmp_path)
    look = models.get(MANIFEST.name)
    assert (look.state, look.files) == (State.MISSING, ()) and look.reason
    with pytest.raises(ModelMissing) as missing:
        models.for_task("asr")
    assert missing.value.hint == "hearthlog models pull asr"


def test_a_folder_without_its_acoustic_model_is_refused() -> None:
    with pytest.raises(ModelBroken, match=r"am/final\.mdl"):
        vosk.load({"conf/model.conf": Path("/dev/null")}, Options(1, {}))


@pytest.mark.slow
@pytest.mark.parametrize("body", [b"", b"\0BMdl", house.picture(64, 48)], ids=["empty", "begun", "a picture"])
async def test_other_files_are_not_taken_for_its_weights_and_the_worker_stays(tmp_path: Path, body: bytes) -> None:
    """The real library, in a real worker."""
    assert MANIFEST.build is not None
    folder = tmp_path / "models" / MANIFEST.name
    files: list[ModelFile] = []
    for name in MANIFEST.build.makes:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        files.append(ModelFile(name, file_sha256(path), len(body), ()))
    models = Models(tmp_path, {MANIFEST.name: replace(MANIFEST, files=tuple(files), build=None)})
    sound = house.sealed(tmp_path, house.recording(np.zeros(RATE_HZ)))
    async with open_workers(models, Budget(default_s=120, listen_idle_s=600)) as workers:
        with pytest.raises(ModelBroken):
            await workers.run("asr", sound)
        (pid,) = [each.pid for each in workers.status() if each.slot == MANIFEST.slot]
        assert pid is not None
