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
WIDTH = 100


def source(document: dict[str, Any]) -> str:
    """The module's text."""
    schemas = document["components"]["schemas"]
    parts = [struct(name, schemas[name]) for name in sorted(schemas)]
    return HEAD + "\n\n" + "\n\n\n".join(parts) + "\n"


def struct(name: str, schema: dict[str, Any]) -> str:
    """One class."""
    text = schema.get("description") or name
    lines = [
        f"class {name}(Report, frozen=True, kw_only=True):",
        f'    """{text.splitlines()[0]}"""',
        "",
    ]
    required = set(schema.get("required", ()))
    for field, inner in schema.get("properties", {}).items():
        kind = annotation(inner)
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


def annotation(schema: dict[str, Any]) -> str:
    """The Python type of a schema; names of enumerations stay open for newer servers."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        kinds = {one.get("type") for one in schema["anyOf"]}
        whole = [one for one in schema["anyOf"] if "Short" not in one.get("$ref", "")]
        options = [annotation(one) for one in whole]  # clients ask for whole answers only
        if {"number", "string"} <= kinds:
            options = [option for option in options if option != "str"]
        return " | ".join(dict.fromkeys(options))
    if "prefixItems" in schema:
        return f"tuple[{', '.join(annotation(one) for one in schema['prefixItems'])}]"
    kind = schema.get("type")
    if kind == "array":
        return f"list[{annotation(schema.get('items', {}))}]"
    if kind == "object":
        inner = schema.get("additionalProperties", {})
        return f"dict[str, {annotation(inner) if isinstance(inner, dict) else 'Any'}]"
    if "enum" in schema or "const" in schema:
        return "str"
    return PLAIN.get(str(kind), "Any")


if __name__ == "__main__":
    sys.stdout.write(source(json.load(sys.stdin)))
