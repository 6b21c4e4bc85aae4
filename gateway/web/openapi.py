"""The OpenAPI 3.1 document, made from the routes and the models that check them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from gateway import __version__
from gateway.entities import Json
from gateway.web.problem import Problem
from gateway.web.route import BASE, FORM, Nothing, Route

_PART = re.compile(r"\{(\w+)(?::[^{}]*(?:\{[^{}]*\}[^{}]*)*)?\}")
_REF = "#/components/schemas/{model}"


def document(routes: Sequence[Route]) -> Json:
    """The whole document."""
    schemas, references = _schemas(routes)
    paths: dict[str, dict[str, Json]] = {}
    for route in routes:
        paths.setdefault(template(route.path), {})[route.method.lower()] = _operation(route, schemas, references)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Hearthlog",
            "version": __version__,
            "description": "A home's own memory. Browsers come with a session, programs with a bearer token.",
        },
        "servers": [{"url": BASE}],
        "security": [{"bearer": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "hearthlog token create"},
                "session": {"type": "apiKey", "in": "cookie", "name": "__Host-hearthlog"},
            },
        },
    }


def template(path: str) -> str:
    """aiohttp's path as OpenAPI writes it: without the regular expressions."""
    return _PART.sub(r"{\1}", path)


_References = dict[tuple[type[BaseModel], JsonSchemaMode], Json]


def _schemas(routes: Sequence[Route]) -> tuple[Json, _References]:
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [(Problem, "serialization")]
    for route in routes:
        wanted += [(route.query, "validation"), (route.body, "validation"), (route.answer, "serialization")]
    unique = [each for each in dict.fromkeys(wanted) if each[0] is not Nothing]
    made, definitions = models_json_schema(unique, ref_template=_REF)
    references: _References = {each: made[each] for each in unique}
    return definitions.get("$defs", {}), references


def _operation(route: Route, schemas: Json, references: _References) -> Json:
    operation: dict[str, object] = {
        "operationId": route.name,
        "summary": route.about,
        "parameters": _path_parameters(route) + _query_parameters(route, schemas, references),
        "responses": {
            str(route.rules.status): _answer(route, references),
            "default": {
                "description": "An error",
                "content": {"application/problem+json": {"schema": references[(Problem, "serialization")]}},
            },
        },
    }
    if not route.rules.scope:
        operation["security"] = []
    else:
        operation["x-scope"] = route.rules.scope
    if route.rules.takes:
        taken: Json = {media: {} for media in route.rules.takes}  # in 3.1 a body of bytes has no schema
        operation["requestBody"] = {"required": True, "content": taken, "description": "The file and nothing else"}
    if route.body is not Nothing:
        schema = references[(route.body, "validation")]
        content = {"application/json": {"schema": schema}}
        if route.rules.form_page:
            content[FORM] = {"schema": schema}
        needed = any(field.is_required() for field in route.body.model_fields.values())
        operation["requestBody"] = {"required": needed, "content": content}
    return operation


def _answer(route: Route, references: _References) -> Json:
    if route.rules.media:
        schema = {"type": "string", "contentMediaType": route.rules.media[0]}
        return {"description": "The bytes", "content": {media: {"schema": schema} for media in route.rules.media}}
    if route.answer is Nothing:
        return {"description": "Done"}
    return {
        "description": "Done",
        "content": {"application/json": {"schema": references[(route.answer, "serialization")]}},
    }


def _path_parameters(route: Route) -> list[Json]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PART.findall(route.path)
    ]


def _query_parameters(route: Route, schemas: Json, references: _References) -> list[Json]:
    if route.query is Nothing:
        return []
    reference = references[(route.query, "validation")]["$ref"].rpartition("/")[2]
    schema = schemas[reference]
    needed = set(schema.get("required", ()))
    return [
        {"name": name, "in": "query", "required": name in needed, "schema": value}
        for name, value in schema["properties"].items()
    ]
