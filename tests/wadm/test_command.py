"""The command line: output for people and machines, exit codes, errors that help."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
from access_support import house
from sim_support import short_tape
from typer.testing import CliRunner

from backbone.settings import read_settings
from orderflow.errors import ConfigError
from orderflow.indicators import INDICATORS
from simulator.columns import BUYER, KEY, PRICE, QTY
from simulator.service import Simulator
from simulator.tapes import load_tape
from wadm import __main__ as command
from wadm.asking import ask
from wadm.doctor import run_checks

runner = CliRunner()
CSV = "1,100.0,2.0,1,2,1735689600000,False,True\n2,101.5,1.0,3,3,1735689601000,True,True\n"


@pytest.fixture
def day(tmp_path: Path) -> Path:
    path = tmp_path / "BTCUSDT-aggTrades-2025-01-01.csv"
    path.write_text(CSV)
    return path


def run(*words: str) -> Any:
    return runner.invoke(command.app, list(words))


def test_replay_json(day: Path) -> None:
    """One object a window, every number a decimal string."""
    result = run("replay", str(day), "--instrument", "binance:spot:BTCUSDT", "--json")
    assert result.exit_code == 0, result.output
    (line,) = result.stdout.splitlines()
    row = json.loads(line)
    assert row["period_start"] == "2025-01-01T00:00:00.000Z"
    assert (row["open"], row["high"], row["low"], row["close"]) == (
        "100.0",
        "101.5",
        "100.0",
        "101.5",
    )
    assert (row["total_volume"], row["buy_volume"], row["sell_volume"]) == ("3", "2", "1")
    assert (row["delta"], row["min_delta"], row["max_delta"]) == ("1", "0", "2")
    assert (row["total_trades"], row["first_id"], row["last_id"]) == ("3", "1", "3")


def test_replay_options(day: Path) -> None:
    """Given steps override the inferred ones; a row size and a period are honoured."""
    result = run(
        "replay",
        str(day),
        "--instrument",
        "binance:spot:BTCUSDT",
        *("--tick-size", "0.01", "--lot-size", "0.001", "--row-size", "1", "--period", "5s"),
        *("--va-method", "pair", "--timeframe", "1m", "--json"),
    )
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert rows[0]["poc"] == "100"
    assert rows[0]["total_volume"] == "3.000"
    assert [row["period"] for row in rows[1:]] == ["5s"]


def test_replay_table(day: Path) -> None:
    """Without --json a table."""
    result = run("replay", str(day), "--instrument", "binance:spot:BTCUSDT")
    assert "binance:spot:BTCUSDT 1h" in result.stdout
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--instrument", "BTCUSDT"], "use venue:market:SYMBOL"),
        (["--instrument", "binance:spot:ETHUSDT"], "holds BTCUSDT"),
        (["--instrument", "binance:spot:BTCUSDT", "--timeframe", "7h"], "allowed"),
        (["--instrument", "binance:spot:BTCUSDT", "--va-method", "x"], "single, pair"),
        (["--instrument", "binance:spot:BTCUSDT", "--row-size", "-1"], "positive"),
        (["--instrument", "binance:spot:BTCUSDT", "--tick-size", "x"], "decimal"),
    ],
)
def test_replay_misuse(day: Path, words: list[str], message: str) -> None:
    """Wrong options are named with what is allowed."""
    result = run("replay", str(day), *words)
    assert result.exit_code != 0
    assert message in str(result.exception)


def test_exit_codes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Misuse ends with 2 and one sentence, not with a trace."""
    monkeypatch.setattr(
        sys, "argv", ["wadm", "replay", "nowhere.zip", "--instrument", "binance:spot:B"]
    )
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 2
    assert "there is no tape" in capsys.readouterr().err


def test_unknown_setting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A misspelt variable is refused by name."""
    monkeypatch.setenv("WADM_SYMBOL", "BTCUSDT")
    monkeypatch.setattr(sys, "argv", ["wadm", "doctor"])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 2
    assert "WADM_SYMBOL" in capsys.readouterr().err


def test_openapi_and_settings() -> None:
    """Both print what they promise."""
    assert json.loads(run("openapi").stdout)["openapi"] == "3.1.0"
    rows = json.loads(run("settings", "--json").stdout)
    assert {"variable": "WADM_PORT", "default": "8080"}.items() <= next(
        row for row in rows if row["variable"] == "WADM_PORT"
    ).items()
    assert "WADM_SYMBOLS" in run("settings").stdout


def test_status_without_server(monkeypatch: pytest.MonkeyPatch, unused_port: int) -> None:
    """Nothing there: exit code 3 and what to do."""
    monkeypatch.setenv("WADM_PORT", str(unused_port))
    result = run("status")
    assert result.exit_code == 3
    assert "wadm up" in result.output


async def test_status_of_a_server_with_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the key's file it says which setting names it; with it the streams are shown."""
    async with house(tmp_path, keys="required") as there:
        monkeypatch.setenv("WADM_PORT", str(there.client.base_url.port))
        refused = await asyncio.to_thread(run, "status")
        assert "WADM_API_KEY_FILE" in str(refused.exception)
        (tmp_path / "key").write_text(await there.key("me", endpoints=("status",)))
        settings = read_settings({"WADM_API_KEY_FILE": str(tmp_path / "key")})
        assert settings.api_key_file == str(tmp_path / "key")
        monkeypatch.setenv("WADM_API_KEY_FILE", str(tmp_path / "key"))
        assert (await there.get("/status", await there.key("other"))).status_code == 200
        found = await asyncio.to_thread(ask, read_settings(os.environ), "/status", {})
        assert found["path"] == "/status"


async def test_doctor(tmp_path: Path, unused_port: int) -> None:
    """Every check has a level and a finding; unreachable venues are notes, not failures."""
    settings = read_settings(
        {},
        data_dir=str(tmp_path),
        port=unused_port,
        **{
            f"{name}_rest_url": f"http://127.0.0.1:{unused_port}"
            for name in ("binance_spot", "binance_usdm", "bybit")
        },
    )
    checks = await run_checks(settings)
    assert {"python", "wadm", "store", "binance_spot", "bybit", "server"} <= {
        c.name for c in checks
    }
    assert not [c for c in checks if c.level == "problem"]


async def test_tape_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day comes from the venue's archive paths, its checksum verified, and replays the same."""
    tape = short_tape()
    words = ("tape", "fetch", "binance:spot:BTCUSDT", "2025-01-01", "--folder", str(tmp_path))
    async with Simulator([tape], start_after=9) as simulator:
        monkeypatch.setenv("WADM_BINANCE_ARCHIVE_URL", simulator.urls["binance_archive_url"])
        result = await asyncio.to_thread(run, *words)
        assert result.exit_code == 0, result.output
        absent = await asyncio.to_thread(run, *words[:3], "2020-01-01")
        assert (absent.exit_code, "no archive for that day" in absent.output) == (1, True)
    (path,) = tmp_path.iterdir()
    assert path.name in result.output.replace("\n", "")
    (again,) = load_tape(path).tracks
    columns = [KEY, PRICE, QTY, BUYER]
    ours = tape.tracks[0].aggregates.matrix()
    assert again.aggregates.matrix()[columns].tolist() == ours[columns].tolist()


def test_tape_fetch_misuse(unused_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Malformed names and days are told apart from an archive nobody answers at."""
    monkeypatch.setenv("WADM_BINANCE_ARCHIVE_URL", f"http://127.0.0.1:{unused_port}")
    for name, day in (("BTCUSDT", "2025-01-01"), ("binance:spot:BTCUSDT", "today")):
        with pytest.raises(ConfigError, match=r"look like|use venue"):
            runner.invoke(command.app, ["tape", "fetch", name, day], catch_exceptions=False)
    result = run("tape", "fetch", "binance:spot:BTCUSDT", "2025-01-01")
    assert result.exit_code == 3
    assert "did not answer" in result.output


@pytest.mark.timeout(1_200)
async def test_demo_when_nobody_answers(tmp_path: Path, unused_port: int) -> None:
    """`up --or-demo` on an empty store without venues serves the demo, and says so everywhere;
    SIGTERM ends it in time and with exit code 0."""
    dead = f"http://127.0.0.1:{_closed()}"
    settings = {
        "DATA_DIR": str(tmp_path),
        "PORT": str(unused_port),
        "DEMO_WAIT_S": "0.5",
        **{f"{name}_REST_URL": dead for name in ("BINANCE_SPOT", "BINANCE_USDM", "BYBIT")},
    }
    environ = os.environ | {f"WADM_{name}": value for name, value in settings.items()}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "wadm", "up", "--or-demo"),
        env=environ,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{unused_port}") as client:
            answer = await _ready(client)
            assert answer["source"] == "simulated"
            assert answer["quality"]["source"] == "simulated"
            environ_port = {"WADM_PORT": str(unused_port)}
            status = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "wadm", "status", "--json"),
                env=os.environ | environ_port,
                stdout=asyncio.subprocess.PIPE,
            )
            out, _ = await status.communicate()
            assert json.loads(out)["source"] == "simulated"
            assert status.returncode == 0
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0
    assert b"SIMULATED" in errors
    assert (tmp_path / "simulated" / "wadm.sqlite").exists()


def _closed() -> int:
    """A port where nobody listens."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _ready(client: httpx2.AsyncClient) -> dict[str, Any]:
    async with asyncio.timeout(45):
        while True:
            try:
                response = await client.get("/volume_profile/BTCUSDT")
            except httpx2.HTTPError:
                response = None
            if response is not None and response.status_code == 200:
                answer: dict[str, Any] = response.json()
                return answer
            await asyncio.sleep(0.1)


def test_explain() -> None:
    """A card for people and for machines; without a name the list of them."""
    card = json.loads(run("explain", "volume-profile", "--json").stdout)
    assert card["algo"] == "volume_profile/1"
    assert {"formula", "units", "parameters", "ties", "edges", "source", "evidence"} <= set(card)
    assert "va_method" in run("explain", "volume_profile").stdout
    assert "parameter" not in run("explain", "impact").stdout
    names = [one["name"] for one in json.loads(run("explain", "--json").stdout)]
    assert names == list(INDICATORS)
    assert "order_flow" in run("explain").stdout
    unknown = run("explain", "magic")
    assert isinstance(unknown.exception, ConfigError)
    assert "volume_profile" in str(unknown.exception)
