"""Writes wadm_client/types.py from an OpenAPI document.

python mcp_client/write_types.py < openapi.json > mcp_client/src/wadm_client/types.py
"""

from __future__ import annotations

import json
import sys
from typing import Any

HEAD = '''"""Answers of the server. Written by write_types.py from /openapi.json: do not edit."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from wadm_client.report import Report
'''
PLAIN = {"string": "str", "integer": "int", "boolean": "bool", "number": "Decimal", "null": "None"}
SHORT = "Short"


def source(document: dict[str, Any]) -> str:
    """The module's text."""
    schemas = document["components"]["schemas"]
    twice = of_two_lengths(schemas)
    classes = {name: struct(name, schemas[name]) for name in schemas}
    classes |= {SHORT + name: struct(SHORT + name, schemas[name], twice) for name in twice}
    return HEAD + "\n\n" + "\n\n\n".join(classes[name] for name in sorted(classes)) + "\n"


def of_two_lengths(schemas: dict[str, Any]) -> frozenset[str]:
    """Answers whose proof may be short (detail=summary, rows), and answers that hold such ones."""

    def chooses(schema: Any) -> bool:
        if isinstance(schema, dict):
            named = [one.get("$ref", "").rpartition("/")[2] for one in schema.get("anyOf", ())]
            both = any(name.startswith(SHORT) and name[len(SHORT) :] in named for name in named)
            return both or any(chooses(inner) for inner in schema.values())
        return isinstance(schema, list) and any(chooses(inner) for inner in schema)

    found = {name for name, schema in schemas.items() if chooses(schema)}
    while True:
        quoted = {f'"#/components/schemas/{name}"' for name in found}
        more = {n for n, s in schemas.items() if any(text in json.dumps(s) for text in quoted)}
        if more <= found:
            return frozenset(found)
        found |= more


def struct(name: str, schema: dict[str, Any], short: frozenset[str] = frozenset()) -> str:
    """One class; with names in `short`, the short form of an answer that has two."""
    text = schema.get("description") or name
    lines = [
        f"class {name}(Report, frozen=True, kw_only=True):",
        f'    """{"Short form: " if short else ""}{text.splitlines()[0]}"""',
        "",
    ]
    required = set(schema.get("required", ()))
    for field, inner in schema.get("properties", {}).items():
        kind = annotation(inner, short)
        if field in required:
            lines.append(f"    {field}: {kind}")
            continue
        default = inner.get("default")
        if default in ({}, []):
            raise SystemExit(f"{name}.{field}: mutable defaults are not supported")
        optional = kind if default is not None or "None" in kind.split(" | ") else f"{kind} | None"
        shown = repr(default)
        if kind.split(" | ")[0] == "Decimal" and default is not None:
            shown = f'Decimal("{default}")'
        elif isinstance(default, str):
            shown = json.dumps(default)
        lines.append(f"    {field}: {optional} = {shown}")
    return "\n".join(lines).rstrip()


def annotation(schema: dict[str, Any], short: frozenset[str] = frozenset()) -> str:
    """The Python type of a schema; names of enumerations stay open for newer servers."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return SHORT + name if name in short else name
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(options(schema["anyOf"], short)))
    if "prefixItems" in schema:
        return f"tuple[{', '.join(annotation(one, short) for one in schema['prefixItems'])}]"
    kind = schema.get("type")
    if kind == "array":
        return f"list[{annotation(schema.get('items', {}), short)}]"
    if kind == "object":
        inner = schema.get("additionalProperties", {})
        return f"dict[str, {annotation(inner, short) if isinstance(inner, dict) else 'Any'}]"
    if "enum" in schema or "const" in schema:
        return "str"
    return PLAIN.get(str(kind), "Any")


def options(choices: list[dict[str, Any]], short: frozenset[str]) -> list[str]:
    """The types of a union: of a whole and a short form the one that is wanted."""
    found = [annotation(one, short) for one in choices]
    pairs = {name for name in found if SHORT + name in found}
    unwanted = pairs if short else {SHORT + name for name in pairs}
    if {"number", "string"} <= {one.get("type") for one in choices}:
        unwanted = unwanted | {"str"}
    return [name for name in found if name not in unwanted]


if __name__ == "__main__":
    sys.stdout.write(source(json.load(sys.stdin)))
