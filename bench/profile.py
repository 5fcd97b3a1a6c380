"""`make profile`: where the time of the whole road goes, as a flame graph and as a table.

py-spy looks a hundred times a second, from outside and without stopping it, at the process of
`bench.ours` while it takes a blast of trades: build/profile.svg is drawn from one run,
build/profile.txt (each function by the time spent in it, and in what it calls) from another.
Widths and shares are samples of the thread that holds the interpreter; code in C counts for the
Python function that calls it.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from rich.table import Table

from bench.blast import certificate
from bench.goals import FOLDER, console
from bench.road import sent

COUNT, QUICK_COUNT = 1_000_000, 300_000
PER_S = 100
SHOWN = 60
Samples = Counter[tuple[str, ...]]


def recorded(count: int, kind: str, out: Path) -> bool:
    """Profile one run into a file; False when that was not possible."""
    spy = [
        "py-spy",
        "record",
        "--gil",
        "--nonblocking",
        "--rate",
        str(PER_S),
        "--format",
        kind,
        "--output",
    ]
    ours = [sys.executable, "-m", "bench.ours", "{ws}", "{rest}", str(count), "blast"]
    words = [str(Path(sys.executable).with_name(spy[0])), *spy[1:], str(out), "--", *ours]
    return sent(count, 0, words) is not None


def samples(text: str) -> Samples:
    """py-spy's raw format: a stack from the outside in, by semicolon, and how often it was seen."""
    found: Samples = Counter()
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        found[tuple(stack.split(";"))] += int(count)
    return found


def shares(found: Samples) -> list[tuple[str, float, float]]:
    """Functions (without their line) by their own share of the samples: own, and with what they
    call."""
    own: Counter[str] = Counter()
    within: Counter[str] = Counter()
    for stack, count in found.items():
        names = [_function(frame) for frame in stack]
        own[names[-1]] += count
        for name in set(names):
            within[name] += count
    total = sum(found.values()) or 1
    return [(name, count / total, within[name] / total) for name, count in own.most_common()]


def _function(frame: str) -> str:
    """`name (file:line)` without the line."""
    return frame.rpartition(":")[0] + ")" if frame.endswith(")") and ":" in frame else frame


def main() -> int:
    """Two runs, two files, the table; 1 when nothing could be recorded."""
    certificate()
    FOLDER.mkdir(exist_ok=True)
    count = QUICK_COUNT if "--quick" in sys.argv else COUNT
    raw, picture = FOLDER / "profile.raw", FOLDER / "profile.svg"
    if not (recorded(count, "raw", raw) and recorded(count, "flamegraph", picture)):
        console.print("py-spy could not look at the process: it needs ptrace (in a container")
        console.print("`--cap-add SYS_PTRACE`), and on a Mac root")
        return 1
    table = Table("function", "own", "with what it calls", title=f"{count:,} trades, TLS to store")
    lines = []
    for name, own, within in shares(samples(raw.read_text()))[:SHOWN]:
        table.add_row(name, f"{own:.1%}", f"{within:.1%}")
        lines.append(f"{own:7.2%} {within:7.2%} {name}")
    (FOLDER / "profile.txt").write_text("\n".join(lines) + "\n")
    console.print(table)
    console.print(f"{picture}: open it in a browser; {FOLDER / 'profile.txt'}: the table")
    return 0


if __name__ == "__main__":
    sys.exit(main())
