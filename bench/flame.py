"""A flame graph of the whole road: `make profile` writes build/profile.svg and build/profile.txt.

A thread looks at the main thread's stack every few milliseconds while the collector, processor and
store of one process take a blast of trades. Widths are samples; the text lists functions by their
own time. Looking takes a little time itself, the same for everything.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType
from xml.sax.saxutils import escape

from bench.blast import certificate
from bench.goals import FOLDER, console

EVERY_S = 0.002
COUNT = 60_000
WIDTH, ROW, LEAST_PX = 1_400, 17, 1.0
COLOURS = ("#e8743b", "#eb8e4d", "#f0a35e", "#e5694e", "#f2b872")
Stack = tuple[str, ...]


class Sampler:
    """Counts stacks of one thread until stopped."""

    def __init__(self, thread_id: int) -> None:
        self.stacks: Counter[Stack] = Counter()
        self._thread_id = thread_id
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(EVERY_S):
            frame = sys._current_frames().get(self._thread_id)
            if frame is not None:
                self.stacks[_names(frame)] += 1


def _names(frame: FrameType | None) -> Stack:
    found = []
    while frame is not None:
        code = frame.f_code
        path = Path(code.co_filename)
        found.append(f"{path.parent.name}/{path.stem}:{code.co_name}")
        frame = frame.f_back
    return tuple(reversed(found))


def svg(stacks: Counter[Stack]) -> str:
    """The flame graph: the root at the bottom, children above their parent, by name."""
    total = sum(stacks.values())
    boxes: list[str] = []
    deepest = max((len(stack) for stack in stacks), default=0)
    height = (deepest + 2) * ROW

    def draw(group: list[tuple[Stack, int]], depth: int, left: float) -> None:
        children: dict[str, list[tuple[Stack, int]]] = {}
        for stack, count in group:
            if len(stack) > depth:
                children.setdefault(stack[depth], []).append((stack, count))
        for name in sorted(children):
            inner = children[name]
            count = sum(number for _, number in inner)
            width = count / total * WIDTH
            if width >= LEAST_PX:
                boxes.append(_box(name, count / total, left, height - (depth + 2) * ROW, width))
                draw(inner, depth + 1, left)
            left += width

    draw(list(stacks.items()), 0, 0.0)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
    return head + 'font-family="monospace" font-size="11">\n' + "\n".join(boxes) + "\n</svg>\n"


def _box(name: str, share: float, left: float, top: float, width: float) -> str:
    colour = COLOURS[sum(map(ord, name)) % len(COLOURS)]
    shown = escape(name[: int(width / 6.7)]) if width > 30 else ""
    return (
        f"<g><title>{escape(name)} {share:.1%}</title>"
        f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{ROW - 1}" fill="{colour}"/>'
        f'<text x="{left + 3:.1f}" y="{top + 12}">{shown}</text></g>'
    )


def text(stacks: Counter[Stack], most: int = 40) -> str:
    """Functions by their own samples."""
    total = sum(stacks.values()) or 1
    own: Counter[str] = Counter()
    for stack, count in stacks.items():
        own[stack[-1]] += count
    lines = [f"{count / total:7.1%}  {name}" for name, count in own.most_common(most)]
    return f"{total} samples, share of own time\n" + "\n".join(lines) + "\n"


def sampled(ports: list[int], count: int) -> None:
    """In the reader's process: the road of `bench.ours`, looked at."""
    from backbone.telemetry import configure_logs
    from bench.ours import run
    from wadm import loops

    configure_logs("error")
    with Sampler(threading.get_ident()) as sampler:
        loops.run(run(ports, count, paced=False))
    (FOLDER / "profile.svg").write_text(svg(sampler.stacks))
    (FOLDER / "profile.txt").write_text(text(sampler.stacks))
    sys.stdout.write(f'{{"samples": {sum(sampler.stacks.values())}}}\n')


def main() -> int:
    """Start the sender, look at the reader, say where the pictures are."""
    from bench.road import sent

    if len(sys.argv) > 1:
        sampled([int(sys.argv[1]), int(sys.argv[2])], int(sys.argv[3]))
        return 0
    FOLDER.mkdir(exist_ok=True)
    certificate()
    began = time.monotonic()
    words = [sys.executable, "-m", "bench.flame", "{ws}", "{rest}", str(COUNT)]
    if sent(COUNT, 0, words) is None:
        return 1
    console.print((FOLDER / "profile.txt").read_text())
    console.print(
        f"{FOLDER}/profile.svg and profile.txt, {time.monotonic() - began:.0f} s, "
        f"load {os.getloadavg()[0]:.1f}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
