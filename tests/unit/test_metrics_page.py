"""docs/metrics.md tells of every metric, and `/metrics` is reached as it says."""

from __future__ import annotations

import re
import ssl
from pathlib import Path

import aiohttp
from prometheus_client.metrics import MetricWrapperBase

from gateway import metrics
from gateway.config import Http
from gateway.store.home import hold
from gateway.web.serve import open_web
from tests.web_house import open_web_house

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"


def test_the_page_of_metrics_names_each_with_its_type_and_labels() -> None:
    """And no other."""
    made = [each for each in vars(metrics).values() if isinstance(each, MetricWrapperBase)]
    known = {
        each._name + ("_total" if each._type == "counter" else ""): (each._type, ", ".join(each._labelnames))
        for each in made
    }
    assert len(known) == len(list(metrics.REGISTRY.collect()))
    rows = re.findall(r"^\| (hearthlog_\w+) \| (\w+) \| ([\w, ]*?) *\| (.+) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert {name: (kind, labels) for name, kind, labels, _ in rows} == known


def test_every_metric_that_the_page_alarms_on_is_one() -> None:
    text = metrics.exposition().decode()
    for name in re.findall(r"\bhearthlog_\w+", PAGE.read_text("utf-8").partition("## What is worth an alarm")[2]):
        assert f"# TYPE {name} " in text


async def test_loopback_needs_nothing_and_every_other_way_a_token(tmp_path: Path) -> None:
    with hold(tmp_path):
        async with (
            open_web_house(tmp_path, http=Http(host="0.0.0.0", port=0)) as house,
            open_web(house.parts) as listening,
            aiohttp.ClientSession() as session,
        ):
            trusting = ssl.create_default_context(cafile=tmp_path / "tls" / "ca.pem")
            trusting.check_hostname = False  # 127.0.0.2 stands for the LAN here: the wildcard's own listener
            outside = f"https://127.0.0.2:{listening.port}/metrics"
            async with session.get(f"http://localhost:{listening.port}/metrics") as answer:
                assert answer.status == 200
                assert "hearthlog_captures_stored" in await answer.text()
            async with session.get(outside, ssl=trusting) as answer:
                assert answer.status == 401
            async with session.get(outside, ssl=trusting, headers=await house.token("write")) as answer:
                assert answer.status == 403
            async with session.get(outside, ssl=trusting, headers=await house.token("read")) as answer:
                assert answer.status == 200
                assert "hearthlog_captures_stored" in await answer.text()
