"""Words wrong for each word that was said, on real recordings, of every recogniser that is here.

What was said is read from the table of the recordings' own README. Recordings of which it says nothing are named, and
not counted. Speech is found by Silero first, as in the house.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from gateway.inference.family import Request
from tests.bench import shared
from tests.bench.result import NO_BAR, Result

MODELS = ("pocketsphinx", "vosk-small-en", "moonshine-tiny-en")
_ROW = re.compile(r"^\| audio/(?P<files>[^|]+)\|(?P<truth>[^|]+)\|$", re.MULTILINE)
_QUOTED = re.compile(r'"([^"]+)"')


def run(*, quick: bool = False) -> list[Result]:
    """A row for each recogniser that is here; the files one by one in its detail."""
    media = shared.media()
    if media is None:
        return [Result("speech", "", NO_BAR, None, "no recordings here")]
    truths = references(media)
    if quick:
        truths = dict(list(truths.items())[:3])
    silent = sorted(path.name for path in (media / "audio").iterdir() if path.name not in truths)
    with tempfile.TemporaryDirectory(prefix="hearthlog-bench-") as name:
        home = Path(name)
        (ears,), _ = shared.load(home, ["silero-vad"])
        here, missing = shared.load(home, MODELS)
        rows: list[Result] = []
        for model in here:
            lines, wrong, spoken, took_ms, long_us = [], 0, 0, 0.0, 0
            for file, truth in truths.items():
                body = wav(media / "audio" / file)
                if body is None:
                    lines.append(f"{file} not measured: no program that decodes it")
                    continue
                blob = shared.sealed(home, body)
                heard = ears.run(Request(blob, {}))
                answer, ms = model(Request(blob, {"speech": heard["speech"]}))
                words = truth.split()
                bad = shared.errors(plain(answer["text"]).split(), words)
                wrong, spoken = wrong + bad, spoken + len(words)
                took_ms, long_us = took_ms + ms, long_us + heard["duration_us"]
                lines.append(f"{file} {bad / len(words):.3f} ({bad} of {len(words)}, {ms:.0f} ms)")
            speed = took_ms * 1_000 / max(1, long_us)
            figure = f"{wrong / max(1, spoken):.3f}"
            detail = f"{wrong} of {spoken} words; {speed:.2f} s of the processor a second of sound; " + "; ".join(lines)
            if silent and not quick:
                detail += f"; nobody says what is said in {', '.join(silent)}"
            rows.append(Result(f"words wrong, {model.name}", figure, NO_BAR, True, detail))
    rows += [Result(f"words wrong, {name}", "", NO_BAR, None, why) for name, why in missing.items()]
    return rows


def references(media: Path) -> dict[str, str]:
    """By file name what is said, as the README beside the recordings has it; `spk1_snt1.wav … 4` are four files."""
    found: dict[str, str] = {}
    for row in _ROW.finditer((media / "README.md").read_text(encoding="utf-8")):
        first, _, more = row["files"].strip().partition("…")
        pattern = re.sub(r"1(\.\w+)$", r"[0-9]\1", first.strip()) if more else first.strip()
        files = sorted(path.name for path in (media / "audio").glob(pattern))
        said = _QUOTED.findall(row["truth"])
        found |= {name: plain(text) for name, text in zip(files, said, strict=False)}
    return found


def plain(text: str) -> str:
    """Words in small letters without punctuation."""
    return " ".join(re.sub(r"[^a-z' ]", " ", text.lower()).split())


def wav(path: Path) -> bytes | None:
    """A recording as the house takes it in; None where it is of another kind and no `ffmpeg` is here."""
    if path.suffix == ".wav":
        return path.read_bytes()
    program = shutil.which("ffmpeg")
    if program is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.wav"
        argv = [program, "-v", "error", "-i", str(path), "-ac", "1", "-ar", "16000", "-c:a", "pcm_s16le", str(out)]
        subprocess.run(argv, check=True, timeout=60, stdin=subprocess.DEVNULL)
        return out.read_bytes()
