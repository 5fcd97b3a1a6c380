"""Where the server is and how to talk to it: from arguments and WADM_* variables."""

from __future__ import annotations

import importlib
import ipaddress
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from wadm_client.errors import ConfigError

DEFAULT_URL = "http://127.0.0.1:8080"
MEBIBYTE = 1 << 20
SERVICE = "wadm-client"


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of a client; the key never appears in a printed form."""

    url: str = DEFAULT_URL
    key: str = field(default="", repr=False)
    ca_file: Path | None = None
    cache_dir: Path | None = None
    ttl_s: float = 60.0
    timeout_s: float = 10.0
    per_minute: int = 60
    most_bytes: int = 16 * MEBIBYTE
    cache_bytes: int = 1024 * MEBIBYTE
    cache_days: float = 30.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", checked_url(self.url))
        if any(not 33 <= ord(c) < 127 for c in self.key):
            raise ConfigError("the API key may hold printable ASCII without spaces only")
        if self.ttl_s < 0 or self.timeout_s <= 0 or self.per_minute < 1:
            raise ConfigError("WADM_CACHE_TTL must be 0 or more, timeout and rate positive")


def checked_url(url: str) -> str:
    """The base URL without a slash at its end; ConfigError for what could leak the key."""
    parts = urlsplit(url)
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise ConfigError("WADM_API_URL must look like https://host or https://host/wadm")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigError(
            "WADM_API_URL must not hold a key, user or query: set WADM_API_KEY instead"
        )
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ConfigError("WADM_API_URL must begin with https:// unless it is this computer")
    return url.rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether a host name is this computer."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def default_cache_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Where this system keeps caches."""
    home = Path.home()
    if sys.platform == "win32":
        base = Path(environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / SERVICE


def read_config(environ: Mapping[str, str] = os.environ, **given: Any) -> Config:
    """Configuration from WADM_* variables; arguments that are not None win."""
    values: dict[str, Any] = {}
    if url := environ.get("WADM_API_URL"):
        values["url"] = url
    if ttl := environ.get("WADM_CACHE_TTL"):
        values["ttl_s"] = _number("WADM_CACHE_TTL", ttl)
    if ca_file := environ.get("WADM_CA_FILE"):
        values["ca_file"] = Path(ca_file)
    folder = environ.get("WADM_CACHE_DIR")
    values["cache_dir"] = Path(folder) if folder else default_cache_dir(environ)
    values |= {name: value for name, value in given.items() if value is not None}
    config = Config(**values)
    return config if config.key else replace(config, key=find_key(environ, config.url))


def find_key(environ: Mapping[str, str], url: str) -> str:
    """The key from WADM_API_KEY, the file WADM_API_KEY_FILE, or the keyring when asked for."""
    if key := environ.get("WADM_API_KEY", "").strip():
        return key
    if name := environ.get("WADM_API_KEY_FILE"):
        try:
            return Path(name).expanduser().read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise ConfigError("WADM_API_KEY_FILE names a file that cannot be read") from None
    if environ.get("WADM_API_KEY_FROM") == "keyring":
        return _from_keyring(url)
    return ""


def _from_keyring(url: str) -> str:
    try:
        keyring = importlib.import_module("keyring")
    except ImportError:
        raise ConfigError("the keyring needs: pip install 'wadm-client[keyring]'") from None
    key = keyring.get_password(SERVICE, url)
    if not key:
        raise ConfigError(f"no key in the keyring; store it with: keyring set {SERVICE} {url}")
    return str(key)


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"{name} must be a number of seconds") from None
