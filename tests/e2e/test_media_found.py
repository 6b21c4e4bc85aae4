"""Real pictures, published by mosquitto_pub among 2,000 other memories, are found by what they are mainly of.

The others are of other things, but of such as lie near: horses, scooters, apples. Their vectors are those of their
captions, so that they compete in meaning as well.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.inference.family import Request
from gateway.store.db import connect
from tests.bench import corpus, shared
from tests.bench.broker import Broker
from tests.bench.house import House, first_person, give_models, serving, until_drained
from tests.bench.whole import found_house, in_the_real_space

pytestmark = [pytest.mark.slow, pytest.mark.system("mosquitto", "mosquitto_pub"), pytest.mark.timeout(420)]

OTHERS = 2_000
TOP = 3
WANTED = {
    "dog": "images/dog.jpg",
    "bicycle": "images/dog.jpg",
    "motorcycle": "images/COCO_val2014_000000354533.jpg",
    "bananas": "images/COCO_val2014_000000579664.jpg",
    "cats": "images/cats_and_dogs.jpg",
    "MovieShots dataset": "ocr/en.jpg",
    "large-scale shot type annotation": "ocr/en.jpg",
}
"""What is asked → the picture that must be among the first three."""
NEAR = {
    "A cat": "A rabbit",
    "A dog": "A horse",
    "rides a bicycle": "rides a scooter",
    "pushes a motorcycle": "pushes a wheelbarrow",
    "eats bananas": "eats apples",
}
"""What is asked for → what stands in its place among the others."""


@dataclass(frozen=True)
class Found:
    """A house with the pictures in it."""

    house: House
    token: str

    def search(self, text: str) -> list[Any]:  # Any: the API's JSON
        """The first three hits."""
        answer = self.house.get(f"/api/v1/search?q={text.replace(' ', '+')}&limit={TOP}", self.token)
        return [item["memory"] for item in answer["items"]]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, models_mirror: Path, media: Path) -> Iterator[Found]:
    folder = tmp_path_factory.mktemp("found")
    home = folder / "home"
    assert give_models(home)
    asyncio.run(found_house(home))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_WHO", "_WHAT"):
            patch.setattr(corpus, name, tuple(NEAR.get(each, each) for each in getattr(corpus, name)))
        corpus.write(home / "hearthlog.db", count=OTHERS, owner=first_person(home / "hearthlog.db"))
    in_the_real_space(home)
    _mean_what_they_say(home)
    pictures = sorted(set(WANTED.values()))
    with Broker(folder / "broker") as broker, serving(home, broker_url=broker.url) as house:
        house.until_connected()
        program = shutil.which("mosquitto_pub")
        assert program is not None
        for name in pictures:
            topic = f"hearthlog/v1/cam-{Path(name).stem.lower().replace('_', '-')[-12:]}/up/jpeg"
            argv = [program, "-p", str(broker.port), "-q", "1", "-t", topic, "-f", str(media / name)]
            subprocess.run(argv, check=True, timeout=60)
        until_drained(home, captures=OTHERS + len(pictures), limit_s=240)
        yield Found(house, house.token())


def _mean_what_they_say(home: Path) -> None:
    """Give each of the others its caption's real vector."""
    (model,), _ = shared.load(home, ["minilm"])
    vectors: dict[str, bytes] = {}
    with closing(connect(home / "hearthlog.db", read_only=False)) as connection:
        for capture, caption in connection.execute("SELECT capture, caption FROM understood").fetchall():
            if caption not in vectors:
                answer, _ = model(Request(None, {"texts": [caption]}))
                vectors[caption] = answer["vectors"][0]
            connection.execute("UPDATE embedding SET vector = ? WHERE capture = ?", (vectors[caption], capture))


@pytest.mark.parametrize("asked", WANTED)
def test_a_picture_is_among_the_first_three_for_its_main_thing(found: Found, media: Path, asked: str) -> None:
    digest = hashlib.sha256((media / WANTED[asked]).read_bytes()).hexdigest()
    assert digest in [each["sha256"] for each in found.search(asked)]


def test_the_others_compete_by_what_they_mean(found: Found) -> None:
    assert all("horse" in each["caption"] for each in found.search("pony"))
