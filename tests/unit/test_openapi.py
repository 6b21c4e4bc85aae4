"""The document of the API says what is checked, and nothing else."""

import json
from collections.abc import Iterator

import pytest
from aiohttp import web

from gateway.web.app import ROUTES, document_text, mount_routes
from gateway.web.openapi import document, template
from gateway.web.route import BASE, Nothing


@pytest.fixture(scope="module")
def described() -> dict:
    return json.loads(document_text())


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref":
                yield inner
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_every_way_of_the_application_is_described(described: dict) -> None:
    app = web.Application()
    mount_routes(app, ROUTES)
    mounted = {
        (route.method.lower(), template(route.resource.canonical.removeprefix(BASE)))
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    said = {(method, path) for path, methods in described["paths"].items() for method in methods}
    assert said == mounted


def test_promised_ways_are_there(described: dict) -> None:
    promised = {
        "/search": {"get"},
        "/memories/{id}": {"get", "delete", "patch"},
        "/memories/{id}/media": {"get"},
        "/memories/{id}/restore": {"post"},
        "/memories/{id}/keep-apart": {"post"},
        "/memories/{id}/again": {"post"},
        "/timeline": {"get"},
        "/devices": {"get", "post"},
        "/devices/pair": {"get", "post", "delete"},
        "/jobs": {"get"},
        "/jobs/{id}/retry": {"post"},
        "/events": {"get"},
    }
    for path, methods in promised.items():
        assert set(described["paths"][path]) == methods
    assert "/ask" not in described["paths"]


def test_search_takes_what_is_promised(described: dict) -> None:
    names = {each["name"] for each in described["paths"]["/search"]["get"]["parameters"]}
    assert names >= {"q", "from", "to", "device", "person", "kind", "limit", "cursor"}


def test_memory_has_the_promised_fields(described: dict) -> None:
    memory = described["components"]["schemas"]["MemoryOut"]["properties"]
    assert set(memory) >= {
        *("id", "kind", "device", "owner", "privacy", "ai_usage", "captured_at", "time_source", "time_confidence"),
        *("received_at", "sha256", "caption", "caption_source", "text", "transcript", "tags", "duplicate"),
        "annotations",
    }
    schemas = described["components"]["schemas"]
    assert set(schemas["DuplicateOut"]["properties"]) >= {"kind", "of", "evidence"}
    assert set(schemas["AnnotationOut"]["properties"]) >= {"step", "version", "model"}
    assert set(schemas["AnswerOut"]["properties"]) >= {"items", "next"}
    assert set(schemas["HitOut"]["properties"]) >= {"memory", "score", "why"}


def test_operations_are_named_once_and_explained(described: dict) -> None:
    names = [operation["operationId"] for methods in described["paths"].values() for operation in methods.values()]
    assert len(names) == len(set(names))
    assert all(operation["summary"] for methods in described["paths"].values() for operation in methods.values())


def test_every_reference_leads_somewhere(described: dict) -> None:
    for reference in references(described):
        assert reference.removeprefix("#/components/schemas/") in described["components"]["schemas"]


def test_document_is_openapi_three_one() -> None:
    made = document(ROUTES)
    assert made["openapi"] == "3.1.0"
    assert "" not in made["paths"]


def test_only_signing_in_and_setting_up_are_open_to_strangers() -> None:
    assert {route.name for route in ROUTES if not route.rules.scope} == {
        "sign_in",
        "setup_state",
        "setup",
        "pair",
        "device_firmware",
    }


def test_ways_that_change_something_need_the_scope_to_write() -> None:
    writing = {route.name for route in ROUTES if route.method != "GET" and route.rules.scope == "read"}
    assert writing == {"sign_out", "sign_out_by_form"}, "whoever may come in may leave"


def test_unknown_fields_are_refused_everywhere() -> None:
    for route in ROUTES:
        for model in (route.query, route.body):
            assert model.model_config.get("extra") == "forbid" or model is Nothing


def test_a_body_that_is_a_file_is_described(described: dict) -> None:
    body = described["paths"]["/memories"]["post"]["requestBody"]
    assert body["required"] is True
    assert {"image/jpeg", "audio/wav", "application/octet-stream"} <= set(body["content"])
