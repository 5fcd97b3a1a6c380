"""wadm keys, as an administrator uses it."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from backbone.clock import wall_ms
from backbone.keys.text import parse_key
from orderflow.errors import ConfigError
from wadm.__main__ import app


@pytest.fixture(autouse=True)
def _store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WADM_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("WADM_KEY_COST", "4")


def run(*words: str) -> Any:
    """Standard output of a good run."""
    done = CliRunner().invoke(app, ["keys", *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_key_from_birth_to_end() -> None:
    """Shown once; the list has its terms and no secret; rotate and revoke end it; all audited."""
    made = json.loads(run("create", "desk 1", "--symbols", "btcusdt", "--days", "3", "--json"))
    parts = parse_key(made["key"])
    assert parts is not None
    assert made["symbols"] == ["BTCUSDT"]
    assert "hash" not in made
    listed = run("list", "--json")
    assert parts.secret not in listed
    assert "$2b$" not in listed
    (only,) = json.loads(listed)
    assert only["id"] == parts.id == made["id"]
    run("rotate", parts.id, "--overlap-hours", "0")
    first, second = json.loads(run("list", "--json"))
    assert first["revoked_ms"]
    assert second["revoked_ms"] is None
    run("revoke", second["id"])
    assert "revoked" in run("list")
    actions = [json.loads(line)["action"] for line in run("audit").splitlines()]
    assert actions == ["key.create", "key.create", "key.revoke", "key.revoke"]


def test_into_a_file(tmp_path: Path) -> None:
    """The key goes into a new file for its owner only, and not to the screen."""
    path = tmp_path / "key"
    shown = run("create", "x", "--out", str(path), "--json")
    parts = parse_key(path.read_text())
    assert parts is not None
    assert parts.secret not in shown
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(ConfigError, match="--out"):
        run("create", "x", "--out", str(path))


def test_usage_with_the_edge(tmp_path: Path) -> None:
    """What nginx answered from its cache is counted from its access log."""
    key_id = json.loads(run("create", "x", "--json"))["id"]
    log = tmp_path / "access.log"
    now = wall_ms() / 1_000
    lines = [
        {"time_ms": now, "key_id": key_id, "cache": "HIT", "status": "200"},
        {"time_ms": now, "key_id": key_id, "cache": "MISS", "status": "200"},
        {"time_ms": now, "key_id": "0" * 12, "cache": "HIT", "status": "200"},
        {"time_ms": 1.5, "key_id": key_id, "cache": "HIT", "status": "200"},
    ]
    log.write_text("\n".join(map(json.dumps, lines)) + "\nnot json\n")
    counts = json.loads(run("usage", key_id, "--access-log", str(log), "--json"))
    assert (counts["requests"], counts["refused"], counts["from_edge_cache"]) == (0, 0, 1)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("create", "bad\nname"), "NAME"),
        (("create", "x", "--addresses", "10.0.0.1/8"), "no network"),
        (("create", "x", "--symbols", "BTC USDT"), "--symbols"),
        (("create", "x", "--per-minute", "0"), "--per-minute"),
        (("create", "x", "--days", "-1"), "--days"),
        (("rotate", "0" * 12, "--overlap-hours", "-1"), "--overlap-hours"),
        (("revoke", "nobody"), "wadm keys list"),
        (("list", "--source", "dream"), "--source"),
    ],
)
def test_wrong_use(words: tuple[str, ...], text: str) -> None:
    """The message names what to change."""
    with pytest.raises(ConfigError, match=text):
        run(*words)
