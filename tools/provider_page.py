"""docs/provider.openapi.json: the interface that a provider of the plan's called types opens.

Source: OpenAPI Specification 3.1.0, spec.openapis.org/oas/v3.1.0; JSON Schema draft 2020-12.
"""

from __future__ import annotations

import json
from typing import Final

from saferoom_client.records.annex import Catalogue, InformationType, Mode, TableForm
from saferoom_proto.statements.feature import ColumnType

_VALUES: Final[dict[ColumnType, dict[str, object]]] = {
    ColumnType.TEXT: {"type": ["string", "null"]},
    ColumnType.BIGINT: {"type": ["integer", "string", "null"]},
    ColumnType.DOUBLE: {"type": ["number", "string", "null"]},
    ColumnType.DECIMAL: {"type": ["number", "string", "null"]},
    ColumnType.DATE: {"type": ["string", "null"], "format": "date"},
    ColumnType.BOOLEAN: {"type": ["boolean", "null"]},
}
_CODE: Final = {"type": "string", "pattern": "^[0-9A-Z]{18}$"}
_DESCRIPTION: Final = (
    "One firm's records of one information type, for the broker of a Saferoom enclave, under that"
    " firm's consent. Mutual TLS. Answers have 1 MiB at most; redirects are not followed."
)


def provider_page(catalogue: Catalogue) -> str:
    """Describe a path for each type that is called, and not handed over."""
    called = [each for each in catalogue.types if each.mode is not Mode.PHYSICAL]
    document: dict[str, object] = {
        "openapi": "3.1.0",
        "info": {
            "title": "A provider's interface",
            "version": str(catalogue.version),
            "description": _DESCRIPTION,
        },
        "servers": [{"url": "https://gateway.example/v1"}],
        "security": [{"broker": []}],
        "paths": {f"/{each.id}/{{subject}}": {"get": _asked(each)} for each in called},
        "components": {"securitySchemes": {"broker": {"type": "mutualTLS"}}},
    }
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _asked(one: InformationType) -> dict[str, object]:
    subject = {"name": "subject", "in": "path", "required": True, "schema": _CODE}
    known = _object({"subject": _CODE, "tables": _object({t.name: _rows(t) for t in one.tables})})
    unknown = _object({"subject": _CODE, "known": {"const": False}})
    return {
        "operationId": f"type_{one.id.replace('.', '_')}",
        "summary": f"{one.zh} ({one.en})",
        "parameters": [subject],
        "responses": {
            "200": _response("What is held about the firm; a table may be empty.", known),
            "404": _response("Nobody of this code is known.", unknown),
            "503": {"description": "Not now; asked again shortly."},
        },
    }


def _response(description: str, schema: dict[str, object]) -> dict[str, object]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _rows(table: TableForm) -> dict[str, object]:
    columns = {
        each.name: {**_VALUES[each.stored], "title": each.zh}
        for each in table.columns
        if each.name != table.key
    }
    return {"type": "array", "title": table.zh, "items": _object(columns)}


def _object(properties: dict[str, object] | dict[str, dict[str, object]]) -> dict[str, object]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
