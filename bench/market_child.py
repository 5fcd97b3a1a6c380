"""Processes of a benchmark, and what they cost since they were asked last."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.goals import FOLDER

LOG = "bench_market.log"
Found = dict[str, Any]
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
STOP_S = 30


class Child:
    """A process of ours that answers a line with a line."""

    def __init__(self, words: list[str], **environ: str) -> None:
        FOLDER.mkdir(exist_ok=True)
        with (FOLDER / LOG).open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=os.environ | environ,
            )

    def read(self) -> Found:
        """The next line that is an answer."""
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            if line.startswith("{") and '"event"' not in line:
                found: Found = json.loads(line)
                return found
        raise RuntimeError(f"{self.process.args} ended")

    def ask(self) -> Found:
        """Its figures since the last question."""
        assert self.process.stdin is not None
        self.process.stdin.write("figures\n")
        self.process.stdin.flush()
        return self.read()

    def stop(self) -> None:
        """End it, and wait."""
        for end in (self.process.stdin, self.process.stdout):
            if end is not None:
                end.close()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Broker:
    """A process that is not ours, watched from outside."""

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}")
        self._cpu_s, self._wall_s = self._used_s(), time.monotonic()

    def ask(self) -> Found:
        """Processor seconds since the last question, and memory now."""
        cpu_s, wall_s = self._used_s(), time.monotonic()
        found = {"cpu_s": cpu_s - self._cpu_s, "wall_s": wall_s - self._wall_s}
        self._cpu_s, self._wall_s = cpu_s, wall_s
        pages = int((self._folder / "statm").read_text().split()[1])
        return found | {"rss_mb": pages * PAGE / 2**20}

    def _used_s(self) -> float:
        fields = (self._folder / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S
