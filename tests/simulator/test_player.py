"""Pace, start, end and keeping readers together."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from recorded import real_day

from simulator.clock import PlayClock
from simulator.service import Simulator
from simulator.tape import Tape

Listen = Callable[..., Any]
Make = Callable[..., Tape]
PERP = "binance:perp:BTCUSDT"


async def test_play_waits_for_the_streams_it_was_told(steady: Make, listen: Listen) -> None:
    """By number or by name; nothing is played, and time stands, until all are subscribed."""
    tapes = [steady(), steady(PERP)]
    for awaited in (2, ["btcusdt@aggTrade", "binance_spot/btcusdt@trade"]):
        async with (
            Simulator(tapes, start_after=awaited) as sim,
            listen(f"{sim.urls['binance_spot_ws_url']}/ws/btcusdt@trade") as spot,
        ):
            await spot.ask({"method": "LIST_SUBSCRIPTIONS", "id": 1})
            assert not sim.started.is_set()
            assert sim.clock_ms() == tapes[0].tracks[0].start_ms - 1
            async with listen(f"{sim.urls['binance_usdm_ws_url']}/market/ws/btcusdt@aggTrade"):
                await sim.finished.wait()
            assert len(spot.events("trade")) == 50


async def test_the_end_closes_the_last_minute_and_time_goes_on(
    steady: Make, listen: Listen, until: Callable[..., Any]
) -> None:
    """After the last trade come its final candle, the tail and candles of quiet minutes."""
    tape = steady()
    end_ms = tape.tracks[0].end_ms
    async with Simulator([tape], tail_ms=5_000) as sim:
        url = f"{sim.urls['binance_spot_ws_url']}/ws/btcusdt@aggTrade/btcusdt@kline_1m"
        async with listen(url) as reader:
            await sim.finished.wait()
            finals = [k["k"] for k in reader.events("kline") if k["k"]["x"]]
            assert [k["n"] for k in finals] == [50]
            assert sim.clock_ms() >= end_ms - end_ms % 60_000 + 65_000
            before = sim.clock_ms()
            await until(lambda: sim.clock_ms() >= before + 50)
            assert sim.clock_ms() < before + 5_000


async def test_speed_is_a_factor_of_real_time(steady: Make, listen: Listen) -> None:
    """Forty times real time: five seconds of tape take an eighth of a second, never less."""
    async with (
        Simulator([steady()], speed=40) as sim,
        listen(f"{sim.urls['binance_spot_ws_url']}/ws/btcusdt@trade") as reader,
    ):
        await reader.until(lambda: len(reader.messages) > 0)
        began = time.monotonic()
        await reader.until(lambda: len(reader.messages) == 50)
        assert 0.1 < time.monotonic() - began < 1.0


async def test_several_sockets_stay_within_two_seconds_of_tape(
    steady: Make, listen: Listen
) -> None:
    """At full speed no reader is further ahead of another than about two slices."""
    tapes = [steady(count=3000, step_ms=50), steady(PERP, count=3000, step_ms=50)]
    async with Simulator(tapes, start_after=2) as sim:
        times = {"spot": 0, "usdm": 0}
        apart: list[int] = []

        async def watch(name: str, url: str) -> None:
            async with listen(url) as reader:
                while not sim.is_finished:
                    reader.changed.clear()
                    news = asyncio.ensure_future(reader.changed.wait())
                    end = asyncio.ensure_future(sim.finished.wait())
                    await asyncio.wait((news, end), return_when=asyncio.FIRST_COMPLETED)
                    news.cancel()
                    end.cancel()
                    if reader.messages:
                        times[name] = reader.messages[-1]["T"]
                    if all(times.values()):
                        apart.append(abs(times["spot"] - times["usdm"]))

        await asyncio.gather(
            watch("spot", f"{sim.urls['binance_spot_ws_url']}/ws/btcusdt@aggTrade"),
            watch("usdm", f"{sim.urls['binance_usdm_ws_url']}/market/ws/btcusdt@aggTrade"),
        )
        assert len(apart) > 50
        assert max(apart) <= 3_000


async def test_nothing_is_played_to_nobody(
    steady: Make, listen: Listen, until: Callable[..., Any]
) -> None:
    """At full speed a restart of the only reader loses nothing that was not on its way."""
    async with Simulator([steady(count=200_000, step_ms=10)]) as sim:
        url = f"{sim.urls['binance_spot_ws_url']}/ws/btcusdt@trade"
        async with listen(url) as reader:
            await reader.until(lambda: len(reader.messages) > 500)
        await until(lambda: not sim.player.subscribed())
        stands = sim.clock_ms()
        await asyncio.sleep(0)
        assert sim.clock_ms() == stands
        assert not sim.finished.is_set()
        async with listen(url) as reader:
            await reader.until(lambda: len(reader.messages) > 0)
            assert reader.messages[0]["E"] > stands


async def test_rest_shows_what_was_sent_and_connections_stay_alive(
    steady: Make, listen: Listen
) -> None:
    """REST keeps its connection, counts calls, and ends where the stream is."""
    async with Simulator([steady()], speed=5) as sim, httpx2.AsyncClient() as client:
        base = sim.urls["binance_spot_rest_url"]
        async with listen(f"{sim.urls['binance_spot_ws_url']}/ws/btcusdt@trade") as reader:
            await reader.until(lambda: len(reader.messages) > 5)
            answer = await client.get(f"{base}/api/v3/trades?symbol=BTCUSDT")
            now_ms = (await client.get(f"{base}/api/v3/time")).json()["serverTime"]
            assert answer.json()[-1]["time"] <= now_ms < sim.tracks[0].end_ms
            assert answer.headers["connection"] == "keep-alive"
            assert sim.stats.rest_calls["/api/v3/trades"] == 1
        head = await client.head(f"{base}/api/v3/ping")
        assert (head.status_code, head.text) == (200, "")
        assert (await client.post(f"{base}/api/v3/ping", json={})).status_code == 405


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A folder with a self-signed certificate for 127.0.0.1."""
    made = subprocess.run(
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost "
        f"-addext subjectAltName=IP:127.0.0.1 -keyout {tmp_path}/k.pem -out {tmp_path}/c.pem",
        shell=True,
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("needs the openssl command to make a certificate")
    return tmp_path


async def test_tls(steady: Make, listen: Listen, certificate: Path) -> None:
    """With an ssl context WebSocket and REST are encrypted and the URLs say so."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate / "c.pem", certificate / "k.pem")
    trusting = ssl.create_default_context(cafile=str(certificate / "c.pem"))
    async with Simulator([steady()], ssl=server) as sim:
        url = f"{sim.urls['binance_spot_ws_url']}/ws/btcusdt@trade"
        assert url.startswith("wss://")
        async with listen(url, ssl=trusting) as reader:
            await sim.finished.wait()
            assert len(reader.messages) == 50
        async with httpx2.AsyncClient(verify=trusting) as client:
            answer = await client.get(f"{sim.urls['binance_spot_rest_url']}/api/v3/time")
            assert answer.status_code == 200


@pytest.mark.slow
@pytest.mark.unmeasured
async def test_the_real_day_is_served_whole(shared: Path, until: Callable[..., Any]) -> None:
    """863,403 aggregates and their 1,440 candles arrive in order, as fast as the reader takes."""
    tape = real_day(shared)
    async with Simulator([tape]) as sim:
        reader, writer = await asyncio.open_connection("127.0.0.1", sim.hosts[0].port)
        writer.write(
            b"GET /ws/btcusdt@aggTrade/btcusdt@kline_1m HTTP/1.1\r\nHost: x\r\n"
            b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        aggregates = finals = 0
        rest = b""
        async with asyncio.timeout(100):
            while finals < 1440:
                data = rest + await reader.read(1 << 20)
                rest = data[-400:]
                whole = data[:-400]
                aggregates += whole.count(b'"aggTrade"')
                finals += whole.count(b'"x":true')
                if sim.clock_ms() > tape.tracks[0].end_ms + 60_000:
                    break
        writer.close()
    assert sim.stats.trades["btcusdt@aggTrade"] == 863_403
    assert aggregates > 850_000


def test_the_clock_stands_flows_and_runs_on() -> None:
    """At max it moves only where it is put, then flows; at a number it flows from the start."""
    wall = [100.0]
    clock = PlayClock(1_000, "max", lambda: wall[0])
    clock.start()
    wall[0] += 5
    assert clock.now_ms() == 1_000
    clock.move_to(3_000)
    clock.move_to(2_000)
    assert clock.now_ms() == 3_000
    clock.run_on()
    wall[0] += 1
    assert clock.now_ms() == 4_000
    double = PlayClock(0, 2, lambda: wall[0])
    assert double.now_ms() == 0
    double.start()
    wall[0] += 1.5
    assert double.now_ms() == 3_000
    with pytest.raises(ValueError, match="positive number or 'max'"):
        PlayClock(0, 0, lambda: 0.0)


def test_tapes_far_apart_are_refused(steady: Make, make_tape: Make) -> None:
    """Days of silence between tapes are no market."""
    far = make_tape(PERP, [(10**9, "1", "1", True)])
    with pytest.raises(ValueError, match="more than a day apart"):
        Simulator([steady(), far])
    with pytest.raises(ValueError, match="at least one tape"):
        Simulator([])
    assert json.dumps(steady().instruments) == '["binance:spot:BTCUSDT"]'
