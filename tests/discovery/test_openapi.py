"""Journeys from the description of an API."""

from __future__ import annotations

from typing import Any

import pytest

from discovery.openapi import MOST, FoundOperation, journeys_text, operations_of

LINE = {
    "type": "object",
    "properties": {"sku": {"type": "string", "example": "sku-{1}"}, "n": {"type": "integer"}},
}
DOCUMENT: dict[str, Any] = {
    "openapi": "3.0.3",
    "servers": [{"url": "https://shop.example.com/v1/"}],
    "security": [{"bearer": []}],
    "components": {
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer"},
            "key": {"type": "apiKey", "in": "header", "name": "X-Key"},
        },
        "parameters": {
            "limit": {"name": "limit", "in": "query", "required": True, "schema": {"default": 20}}
        },
        "schemas": {
            "Order": {
                "allOf": [
                    {"$ref": "#/components/schemas/Base"},
                    {"type": "object", "properties": {"lines": {"type": "array", "items": LINE}}},
                ]
            },
            "Base": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "n": {}}},
            "Loop": {"type": "object", "properties": {"again": {"$ref": "#/components/schemas/Loop"}}},
        },
    },
    "paths": {
        "/orders": {
            "get": {"parameters": [{"$ref": "#/components/parameters/limit"}], "security": [{"key": []}]},
            "post": {
                "operationId": "place order",
                "requestBody": {
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}
                },
            },
        },
        "/orders/{key}/{odd}": {
            "parameters": [{"name": "key", "in": "path", "schema": {"enum": ["a b", "c"]}}],
            "delete": {"security": []},
            "put": {
                "operationId": "place order",
                "requestBody": {
                    "content": {"application/json": {"examples": {"one": {"value": {"state": "paid"}}}}}
                },
            },
        },
        "/loop": {
            "post": {
                "requestBody": {
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Loop"}}}
                }
            }
        },
        "/form": {"post": {"requestBody": {"content": {"application/x-www-form-urlencoded": {}}}}},
    },
}


def found() -> dict[str, FoundOperation]:
    return {one.name: one for one in operations_of(DOCUMENT)}


def test_examples_defaults_and_choices_become_requests() -> None:
    """References are followed; a brace of an example stays one; what has no example is said."""
    order = found()["place_order"]
    assert order.request == {
        "method": "POST",
        "path": "/v1/orders",
        "headers": {"authorization": "Bearer {env.API_TOKEN}"},
        "json": {"id": "text", "lines": [{"sku": "sku-{{1}}", "n": 1}]},
    }
    assert order.guessed == ("id", "n")
    shown = found()["get_orders"]
    assert (shown.path, shown.arguments) == ("/v1/orders?limit={limit}", {"limit": 20})
    assert shown.headers == {"X-Key": "{env.API_TOKEN}"} and not shown.guessed and not shown.writes


def test_names_that_are_taken_get_another() -> None:
    """A second operation of one name, and an argument that a placeholder of the plan is called as."""
    put = found()["place_order_"]
    assert put.body == {"state": "paid"}
    assert put.path == "/v1/orders/{key_}/{odd}"
    assert put.arguments == {"key_": "a b", "odd": "text"} and put.guessed == ("odd",)


def test_what_has_no_end_or_no_json_is_said() -> None:
    """A schema inside itself ends, and another kind of body is left to a person."""
    assert found()["post_loop"].body["again"]["again"] is not None
    assert found()["post_form"].guessed == ("a body that is not JSON",)


def test_deletions_are_written_and_not_played_and_many_are_left_out() -> None:
    """What they delete, others may need."""
    text, played = journeys_text(tuple(found().values()), "front", ["front -> back"])
    assert "  delete_orders_key_odd:\n" in text and "delete_orders_key_odd" not in played
    assert '    uses: ["front -> back"]\n' in text
    many = tuple(FoundOperation(f"o{n}", "get", "/", {}, {}, None, ()) for n in range(MOST + 2))
    text, played = journeys_text(many, "front", [])
    assert len(played) == MOST and text.endswith(f"# left out, more than {MOST}: o{MOST}, o{MOST + 1}")


@pytest.mark.parametrize("document", [None, [], {}, {"swagger": "2.0", "paths": {}}, {"openapi": "3.1.0"}])
def test_other_documents_are_refused(document: object) -> None:
    """By name of what is expected."""
    with pytest.raises(ValueError, match=r"not OpenAPI; expected one of version 3 with paths"):
        operations_of(document)
