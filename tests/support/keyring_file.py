"""A keyring in a file, for the real keyring library: KEYRING_FILE names it."""

from __future__ import annotations

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend


class FileKeyring(KeyringBackend):
    """Passwords by service and name, unprotected: for tests only."""

    priority = 1  # type: ignore[assignment]

    def _held(self) -> dict[str, str]:
        path = Path(os.environ["KEYRING_FILE"])
        held: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        return held

    def get_password(self, service: str, username: str) -> str | None:
        """What was stored, or None."""
        return self._held().get(f"{service} {username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        """Store it."""
        held = self._held() | {f"{service} {username}": password}
        Path(os.environ["KEYRING_FILE"]).write_text(json.dumps(held))
