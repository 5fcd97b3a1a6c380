"""Reads a WADM order-flow server.

from wadm_client import Client
with Client() as client:
    print(client.volume_profile("BTCUSDT", "1h").poc)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wadm_client.answer import Answer
    from wadm_client.client import AsyncClient, Client
    from wadm_client.config import Config, read_config
    from wadm_client.errors import (
        ApiError,
        BadAnswerError,
        CacheError,
        CertificateError,
        ClientError,
        ConfigError,
        NotReadyError,
        RateLimitedError,
        TooLargeError,
        UnreachableError,
    )

_PLACES = {
    "Answer": "answer",
    "AsyncClient": "client",
    "Client": "client",
    "Config": "config",
    "read_config": "config",
    "ApiError": "errors",
    "BadAnswerError": "errors",
    "CacheError": "errors",
    "CertificateError": "errors",
    "ClientError": "errors",
    "ConfigError": "errors",
    "NotReadyError": "errors",
    "RateLimitedError": "errors",
    "TooLargeError": "errors",
    "UnreachableError": "errors",
}
__all__ = [
    "Answer",
    "ApiError",
    "AsyncClient",
    "BadAnswerError",
    "CacheError",
    "CertificateError",
    "Client",
    "ClientError",
    "Config",
    "ConfigError",
    "NotReadyError",
    "RateLimitedError",
    "TooLargeError",
    "UnreachableError",
    "read_config",
]


def __getattr__(name: str) -> Any:
    """Parts are imported when they are first used: `import wadm_client` costs nothing."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
