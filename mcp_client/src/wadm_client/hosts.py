"""Adds the bridge to the MCP hosts of this computer."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wadm_client.cache import replace_file
from wadm_client.config import Config
from wadm_client.errors import ConfigError

NAME = "wadm"
PLACES = {
    "claude-desktop": ("mcpServers", "Claude/claude_desktop_config.json"),
    "cursor": ("mcpServers", ".cursor/mcp.json"),
    "vscode": ("servers", ".vscode/mcp.json"),
}


def config_path(host: str, environ: Mapping[str, str] = os.environ) -> Path:
    """Where a host keeps its servers: of the user, for VS Code of the open folder."""
    _, place = PLACES[host]
    if host == "vscode":
        return Path.cwd() / place
    if host == "cursor":
        return Path.home() / place
    if sys.platform == "win32":
        return Path(environ.get("APPDATA", Path.home())) / place
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / place
    return Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / place


def snippet(host: str, config: Config, environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """The server entry. The key itself is written nowhere: a file or the keyring holds it."""
    found = shutil.which("wadm-client")
    env = {"WADM_API_URL": config.url}
    for name in ("WADM_API_KEY_FILE", "WADM_API_KEY_FROM", "WADM_CA_FILE", "WADM_CACHE_DIR"):
        if value := environ.get(name):
            env[name] = value
    entry: dict[str, Any] = {
        "command": found or "uvx",
        "args": ["mcp"] if found else ["wadm-client", "mcp"],
        "env": env,
    }
    return {"type": "stdio", **entry} if host == "vscode" else entry


def install(host: str, path: Path, entry: dict[str, Any]) -> bool:
    """Merge the entry into the host's file, keeping all else; False when it was there already."""
    section, _ = PLACES[host]
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = {}
    except (OSError, ValueError):
        raise ConfigError(f"{path.name} is not JSON: put the entry in by hand (--print)") from None
    if not isinstance(known, dict) or not isinstance(known.setdefault(section, {}), dict):
        raise ConfigError(f"{path.name} has another form: put the entry in by hand (--print)")
    if known[section].get(NAME) == entry:
        return False
    known[section][NAME] = entry
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            shutil.copy2(path, path.with_name(path.name + ".before-wadm"))
        replace_file(path, json.dumps(known, indent=2).encode() + b"\n")
    except OSError as error:
        raise ConfigError(f"{path.name} cannot be written: {error.strerror}") from None
    return True
