"""The screen of `wadm top`: three tables, one at a time, on 80 columns and 24 lines."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, Footer, Static

from orderflow.errors import WadmError
from orderflow.timeframe import PERIODS, TIMEFRAMES
from wadm.top import rows
from wadm.top.rows import View

Look = Callable[[str, str], Awaitable[View]]
TABLES = {
    "symbols": rows.SYMBOL_COLUMNS,
    "streams": rows.STREAM_COLUMNS,
    "feeds": rows.FEED_COLUMNS,
}
FIRST = frozenset({"symbol", "stream", "connection"})
LEFT = FIRST | frozenset({"status", "state", "completeness"})


class Top(App[None]):
    """Asks again every `every_s`; what it shows while nobody answers is marked as old."""

    CSS = """
    #head { height: 1; padding: 0 1; }
    #note { height: 1; padding: 0 1; text-style: reverse; display: none; }
    #note.shown { display: block; }
    DataTable { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "table('symbols')", "symbols"),
        Binding("2", "table('streams')", "streams"),
        Binding("3", "table('feeds')", "feeds"),
        Binding("t", "next('timeframe')", "timeframe"),
        Binding("p", "next('period')", "period"),
        Binding("q", "quit", "quit"),
    ]
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, look: Look, timeframe: str, period: str, every_s: float) -> None:
        super().__init__()
        self.look_at = look
        self.timeframe = timeframe
        self.period = period
        self.every_s = every_s
        self.table = "symbols"
        self.view: View | None = None
        self.looks = 0
        self._answered_s = 0.0
        self._again = asyncio.Event()

    def compose(self) -> ComposeResult:
        """A line that says what this is, one for troubles, a table, the keys."""
        yield Static("asking", id="head")
        yield Static("", id="note")
        yield DataTable[Text](cursor_type="row", cell_padding=0, id="table")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Begin to ask."""
        self._columns()
        self.query_one(DataTable).focus()
        self.run_worker(self._ask(), exclusive=True)

    async def _ask(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._again.clear()
            try:
                self.view = await self.look_at(self.timeframe, self.period)
                self._answered_s = loop.time()
                self._note("")
            except WadmError as error:
                self._note(self._old(str(error), loop.time()))
            self.looks += 1
            self._show()
            try:
                async with asyncio.timeout(self.every_s):
                    await self._again.wait()
            except TimeoutError:
                continue

    def _old(self, trouble: str, now_s: float) -> str:
        if self.view is None:
            return trouble
        return f"{int(now_s - self._answered_s)} s OLD: {trouble}"

    def _note(self, text: str) -> None:
        note = self.query_one("#note", Static)
        note.update(Text(text, no_wrap=True, overflow="ellipsis"))
        note.set_class(bool(text), "shown")

    def action_table(self, name: str) -> None:
        """Show another table."""
        self.table = name
        self._columns()
        self._show()

    def action_next(self, name: str) -> None:
        """Take the next timeframe or period, and ask at once."""
        known = tuple(TIMEFRAMES if name == "timeframe" else PERIODS)
        following = known[(known.index(getattr(self, name)) + 1) % len(known)]
        setattr(self, name, following)
        self._again.set()

    def _columns(self) -> None:
        table: DataTable[Text] = self.query_one(DataTable)
        table.clear(columns=True)
        for column in TABLES[self.table]:
            table.add_column(_cell(column.title, column.title), width=column.width)

    def _cells(self, view: View) -> list[list[str]]:
        if self.table == "symbols":
            return [rows.symbol_cells(row) for row in view.symbols]
        if self.table == "streams":
            return [rows.stream_cells(line) for line in rows.by_trouble(view.status["streams"])]
        return [rows.feed_cells(line) for line in view.status["feeds"]]

    def _show(self) -> None:
        if self.view is None:
            return
        head = f"wadm top · {rows.headline(self.view.status)}"
        if self.table == "symbols":
            head += f" · POC {self.timeframe} · delta {self.period}"
        self.query_one("#head", Static).update(Text(head, no_wrap=True, overflow="ellipsis"))
        table: DataTable[Text] = self.query_one(DataTable)
        place = table.cursor_row
        table.clear()
        titles = [column.title for column in TABLES[self.table]]
        for cells in self._cells(self.view):
            pairs = zip(titles, cells, strict=True)
            table.add_row(*(_cell(title, text) for title, text in pairs))
        table.move_cursor(row=min(place, table.row_count - 1), animate=False)


def _cell(title: str, text: str) -> Text:
    """Numbers to the right; words have room before them; what is in capitals is bold."""
    right = title not in LEFT
    loud = text.isupper() and text not in ("POC",)
    return Text(
        text if right or title in FIRST else f" {text}",
        style="bold" if loud else "",
        justify="right" if right else "left",
        no_wrap=True,
        overflow="ellipsis",
    )
