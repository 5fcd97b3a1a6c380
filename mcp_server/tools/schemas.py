"""Schemas of the tools as listed: small, because every agent pays for them in every session."""

from __future__ import annotations

from typing import Any

from mcp.server import MCPServer
from pydantic import BaseModel, ConfigDict

from orderflow.report import Report

QUALITY = {
    "type": "object",
    "properties": {"state": {"type": "string"}, "stale": {"type": "boolean"}},
}
"""One compact shape; the full one is the resource wadm://schema/answers."""
ALWAYS = frozenset({"symbol", "source"})
DECIMAL = {"number", "string"}
NOT_LISTED = frozenset({"title", "default", "maxLength"})


class Answered(BaseModel):
    """What a tool returns; the listed schema says which report."""

    model_config = ConfigDict(extra="allow")


def compact(*models: type[Report]) -> dict[str, Any]:
    """Top-level names of a tool's reports, with their types unless they may be null; what all of
    them hold is required."""
    properties: dict[str, Any] = {}
    required: set[str] | None = None
    for model in models:
        schema = model.model_json_schema()
        for name, field in schema["properties"].items():
            if name == "dropped":
                continue
            properties.setdefault(name, _typed(name, field, schema.get("$defs", {})))
        always = {name for name in schema.get("required", ()) if name in ALWAYS}
        required = always if required is None else required & always
    small = {"type": "object", "properties": properties}
    return small | {"required": sorted(required)} if required else small


def _typed(name: str, field: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    if name == "quality":
        return QUALITY
    names = sorted(_types(field, known))
    if not names or "null" in names:
        return {}
    return {"type": names[0] if len(names) == 1 else names}


def _types(field: dict[str, Any], known: dict[str, Any]) -> set[str]:
    if "$ref" in field:
        return _types(known[field["$ref"].rpartition("/")[2]], known)
    if "anyOf" in field:
        return set().union(*(_types(one, known) for one in field["anyOf"]))
    if "const" in field or "enum" in field:
        return {"string"}
    found = field.get("type")
    if found == "string" and "pattern" in field:
        return set(DECIMAL)
    return {found} if found else set()


def slim(schema: dict[str, Any]) -> dict[str, Any]:
    """An input schema without what it says twice: titles, defaults of nothing, optional nulls."""
    properties = {name: _slim(field) for name, field in schema.get("properties", {}).items()}
    small: dict[str, Any] = {"type": "object", "properties": properties}
    if schema.get("required"):
        small["required"] = schema["required"]
    return small


def _slim(field: dict[str, Any]) -> dict[str, Any]:
    options = [one for one in field.get("anyOf", ()) if one.get("type") != "null"]
    whole = {k: v for k, v in field.items() if k not in {"anyOf"} and k not in NOT_LISTED}
    if len(options) == 1:
        whole = {**options[0], **whole}
    elif options:
        whole["anyOf"] = options
    if "enum" in whole:
        whole.pop("type", None)
    if field.get("default") is not None:
        whole["default"] = field["default"]
    return whole


def listed(mcp: MCPServer, reports: dict[str, tuple[type[Report], ...]]) -> None:
    """Give every tool its small schemas."""
    for name, models in reports.items():
        tool = mcp._tool_manager.get_tool(name)
        if tool is None:
            raise KeyError(name)
        tool.description = " ".join(tool.description.split())
        tool.parameters = slim(tool.parameters)
        tool.fn_metadata.output_schema = compact(*models)
        tool.__dict__.pop("output_schema", None)
