"""Writes a JSON Schema for every file of the cache from an OpenAPI document.

python mcp_client/write_schemas.py FOLDER < openapi.json
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

DIALECT = "https://json-schema.org/draft/2020-12/schema"
VALUES = {
    "volume_profile": "VolumeProfileReport",
    "order_flow": "OrderFlowReport",
    "profile_history": "ProfileHistory",
    "flow_history": "FlowHistory",
    "footprint": "FootprintReport",
    "summary": "SummaryReport",
    "snapshot": "SnapshotReport",
    "events": "EventsReport",
    "base_rates": "BaseRatesReport",
    "derivatives": "DerivativesReport",
    "key_levels": "KeyLevelsReport",
    "compare": "CompareReport",
    "changes": "ChangesReport",
    "explain": "ExplainReport",
    "symbols": "SymbolsReport",
    "status": "StatusReport",
}
"""The answer inside the files of each folder below storage/market-data/wadm."""
REF = re.compile(r'"#/components/schemas/(\w+)"')


def text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


def whole(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "integer", "description": description, **more}


def fields() -> dict[str, Any]:
    """Keys of every cache file but the value."""
    return {
        "key": text("kind:SYMBOL:step[:other parameters]"),
        "timestamp": whole("when the server last stood by the value, ms of this computer"),
        "ttl": whole("ms after timestamp in which nobody has to be asked", minimum=0),
        "hits": whole("always 0: reads do not write", minimum=0),
        "lastAccessed": whole("same as timestamp: reads do not write"),
        "etag": {"type": ["string", "null"], "description": "validator for If-None-Match"},
        "expires_at": text("timestamp plus ttl; compare it with the clock", format="date-time"),
        "stale": {"type": "boolean", "description": "the server could not be asked at the time"},
        "age_ms": {"type": ["integer", "null"], "description": "age of the data at timestamp"},
        "version": {"const": 1},
        "source": text("base address of the server"),
        "steady_ms": whole("clock that never goes back, of one run of the machine"),
        "boot": text("names that run of the machine; empty where it is not known"),
        "checksum": text("SHA-256 of the bytes of value", pattern="^[0-9a-f]{64}$"),
    }


def entry(kind: str, value: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    """The schema of one kind of file."""
    known = fields() | {"value": value}
    known["key"] = {**known["key"], "pattern": f"^{kind}(:|$)"}
    return {
        "$schema": DIALECT,
        "title": f"storage/market-data/wadm/{kind}/*.json",
        "type": "object",
        "properties": known,
        "required": list(known),
        **({"$defs": defs} if defs else {}),
    }


def reached(name: str, schemas: dict[str, Any]) -> dict[str, Any]:
    """A component and all that it refers to."""
    found: dict[str, Any] = {}
    waiting = [name]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found[one] = schemas[one]
            waiting += REF.findall(json.dumps(schemas[one]))
    return dict(sorted(found.items()))


def key_levels() -> dict[str, Any]:
    """wAIckoff's own file, with the levels that come from here."""
    level = {
        "type": "object",
        "properties": {
            "type": {"enum": ["support", "resistance", "dual"]},
            "category": text("volume_profile_poc, _vah or _val; wAIckoff's own for its levels"),
            "origin": text("wadm for levels that come from here; others are never changed"),
            "first_identified": text("ISO-8601"),
            "touches": {"type": "array", "items": {"type": "object"}},
            "strength_score": {"type": ["number", "null"]},
            "notes": text("what it is of, and how far it is proven"),
        },
        "required": ["type"],
    }
    return {
        "$schema": DIALECT,
        "title": "waickoff_reports/context/SYMBOL/key_levels.json",
        "type": "object",
        "properties": {
            "symbol": {"type": "string"},
            "last_updated": text("ISO-8601"),
            "levels": {
                "type": "object",
                "propertyNames": {"pattern": "^[0-9]+(\\.[0-9]+)?$"},
                "additionalProperties": level,
            },
            "invalidated_levels": {"type": "array"},
        },
        "required": ["symbol", "last_updated", "levels", "invalidated_levels"],
    }


def files(document: dict[str, Any]) -> dict[str, str]:
    """Text by file name."""
    schemas = document["components"]["schemas"]
    made = {"key_levels_file": key_levels(), "mcp": entry("mcp", {"type": "object"}, {})}
    for kind, name in VALUES.items():
        made[kind] = entry(kind, {"$ref": f"#/$defs/{name}"}, reached(name, schemas))
    return {
        f"{name}.schema.json": REF.sub(r'"#/$defs/\1"', json.dumps(schema, indent=1)) + "\n"
        for name, schema in made.items()
    }


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files(json.load(sys.stdin)).items():
        (folder / name).write_text(content)
