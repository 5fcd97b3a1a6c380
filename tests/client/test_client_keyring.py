"""The key from a keyring, with the real library and its own command."""

from __future__ import annotations

import builtins
import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from wadm_client import read_config
from wadm_client.errors import ConfigError

URL = "https://wadm.test"
FROM = {"WADM_API_URL": URL, "WADM_API_KEY_FROM": "keyring"}
KEY = "wadm_abcdefgh_secret"


def started(code: str, monkeypatch: pytest.MonkeyPatch, backend: str) -> tuple[int, str]:
    """A program of a user whose keyring is of this kind."""
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", backend)
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_key_from_a_keyring(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `keyring set wadm-client URL` stored is the key, for that address only; it is never
    printed."""
    path = f"{root / 'tests/support'}:{root / 'mcp_client/src'}"
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setenv("KEYRING_FILE", str(tmp_path / "keyring.json"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring_file.FileKeyring")
    for name, value in FROM.items():
        monkeypatch.setenv(name, value)
    store = [sys.executable, "-m", "keyring", "set", "wadm-client", URL]
    subprocess.run(store, input=KEY, text=True, check=True, capture_output=True)
    read = f"from wadm_client import read_config; c = read_config(); print(c.key == '{KEY}', c)"
    code, said = started(read, monkeypatch, "keyring_file.FileKeyring")
    assert (code, said.startswith("True")) == (0, True), said
    assert KEY not in said
    monkeypatch.setenv("WADM_API_URL", "https://other.test")
    code, said = started(read, monkeypatch, "keyring_file.FileKeyring")
    assert code == 1
    assert "keyring set wadm-client https://other.test" in said


def test_a_keyring_that_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the command that stores a key."""
    keyring: Any = importlib.import_module("keyring")
    null = importlib.import_module("keyring.backends.null")
    before = keyring.get_keyring()
    keyring.set_keyring(null.Keyring())
    try:
        with pytest.raises(ConfigError, match=f"keyring set wadm-client {URL}"):
            read_config(FROM)
    finally:
        keyring.set_keyring(before)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the library the error names the extra; without the setting it is never imported."""
    usual = builtins.__import__

    def refuse(name: str, *rest: Any, **more: Any) -> Any:
        if name.partition(".")[0] == "keyring":
            raise ImportError(name)
        return usual(name, *rest, **more)

    for name in [name for name in sys.modules if name.partition(".")[0] == "keyring"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(importlib, "import_module", refuse)
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ConfigError, match=r"wadm-client\[keyring\]"):
        read_config(FROM)
    assert read_config({"WADM_API_URL": URL}).key == ""
