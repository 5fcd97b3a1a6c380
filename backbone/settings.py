"""Every setting on one page: environment variables WADM_*, read once at start.

A setting is a field; its variable is WADM_ and the field's name in capitals; `help` says what it
does. docs/operations.md lists them all (a test compares).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from orderflow.errors import ConfigError

DEFAULT_SYMBOLS = (
    "BTCUSDT,ETHUSDT,SOLUSDT,XRPUSDT,BNBUSDT,DOGEUSDT,ADAUSDT,LINKUSDT,SUIUSDT,LTCUSDT"
)
BACKFILL_UNITS = {"d": 86_400_000, "h": 3_600_000}
MOST_BACKFILL_UNITS = 3_650
INSTANCE = re.compile("[A-Za-z0-9_-]{0,32}")
T = TypeVar("T")


def _setting(default: T, text: str, choices: tuple[str, ...] = (), *, secret: bool = False) -> T:
    """A field; a secret one stays out of every printed form of the settings."""
    value: T = field(default=default, repr=not secret, metadata={"help": text, "choices": choices})
    return value


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings with their defaults."""

    symbols: str = _setting(
        DEFAULT_SYMBOLS,
        "What to collect on every venue and market, by comma: names, all, top:200, *USDT, "
        "volume>10M, -*USDC.",
    )
    venues: str = _setting("binance,bybit", "Venues to collect, by comma.")
    markets: str = _setting("spot,perp", "Markets to collect, by comma.")
    derivatives: str = _setting(
        "on", "Funding, open interest and liquidations of perpetuals.", ("on", "off")
    )
    data_dir: str = _setting("var", "Folder of the embedded store.")
    store: str = _setting("sqlite", "Where results are kept.", ("sqlite", "memory", "mongo"))
    mongo_uri: str = _setting(
        "", "Replica set, user and TLS of MongoDB, for WADM_STORE=mongo; never logged.", secret=True
    )
    mongo_uri_file: str = _setting("", "File that holds the MongoDB URI instead: a secret.")
    mongo_database: str = _setting(
        "wadm", "Database of live data; simulated data goes to its name with _simulated."
    )
    nats_url: str = _setting(
        "tls://127.0.0.1:4222",
        "Bus between processes, for wadm collect, process and serve; nodes of a cluster by comma.",
    )
    nats_ca_file: str = _setting("", "Certificate that the bus is verified with.")
    nats_cert_file: str = _setting("", "Certificate of this process: its role on the bus.")
    nats_key_file: str = _setting("", "Key of that certificate: a secret.")
    nats_replicas: int = _setting(
        1, "Brokers that keep every message before it counts as published: 1, or 3 of a cluster."
    )
    partitions: int = _setting(
        1, "Parts that the instruments are dealt into for processors; the same in every process."
    )
    instance: str = _setting(
        "",
        "Name of this process among its like, where several collect a venue or process;"
        " collectors with a name keep one connection each.",
    )
    host: str = _setting("127.0.0.1", "Address the server binds.")
    port: int = _setting(8080, "Port the server binds; 0 takes a free one.")
    health_host: str = _setting(
        "127.0.0.1", "Address of the health and metrics of a collector or processor apart."
    )
    health_port: int = _setting(
        0, "Its port; 0 takes the part's own: 8001 and 8002 for collectors, 8003."
    )
    base_path: str = _setting("", "Path prefix of every route, for example /wadm.")
    public_hosts: str = _setting(
        "", "Further host names (host or host:port) the server answers for, by comma."
    )
    keys: str = _setting(
        "auto",
        "API keys: auto needs one beyond loopback, and everywhere once one was made.",
        ("auto", "required"),
    )
    key_cost: int = _setting(10, "bcrypt cost of new keys, 4 to 15; 10 is 50 ms of a core.")
    api_key_file: str = _setting("", "File with the key that `wadm status` and `doctor` send.")
    requests_per_minute: int = _setting(
        60, "Budget of a key over REST and MCP together; a key may have another."
    )
    streams_per_key: int = _setting(
        32,
        "Streams a key may hold open: event streams and MCP update streams of both eras together.",
    )
    oauth_resource: str = _setting(
        "", "Public address of /mcp when it takes OAuth tokens beside API keys; empty: off."
    )
    oauth_issuers: str = _setting(
        "", "Authorization servers whose tokens are taken, by comma, for clients to find."
    )
    oauth_scope: str = _setting("wadm:read", "Scope that a token must have.")
    oauth_verifier: str = _setting(
        "", "module:function that takes the settings and gives the SDK's TokenVerifier."
    )
    limits_storage: str = _setting(
        "memory://", "Where budgets are counted; async+redis://HOST:PORT shares them.", secret=True
    )
    limits_storage_file: str = _setting(
        "", "File that holds that address instead: a secret, when it has a password."
    )
    trusted_proxies: str = _setting(
        "127.0.0.1", "Addresses or networks whose X-Forwarded-For is believed, by comma."
    )
    otel_endpoint: str = _setting(
        "", "OTLP/HTTP address that spans of requests are sent to; needs the extra otel."
    )
    tool_aliases: str = _setting(
        "off", "Offer the tools under wAIckoff's documented names as well.", ("on", "off")
    )
    collector_buffer: int = _setting(
        1_000, "Trades buffered per stream before an overflow marks a gap; grows with the rate."
    )
    ws: str = _setting(
        "auto",
        "WebSocket client: auto takes picows when installed.",
        ("auto", "websockets", "picows"),
    )
    first_data_s: float = _setting(10.0, "Reconnect when a new connection is silent this long.")
    stale_after_s: float = _setting(10.0, "No frame for this long ends a connection's claim.")
    clock_poll_s: float = _setting(60.0, "Seconds between questions for the venue's time.")
    demo_wait_s: float = _setting(10.0, "How long `up --or-demo` waits for a venue.")
    demo_speed: str = _setting("1", "Play speed of the demo market: a number or max.")
    log_level: str = _setting("info", "Log level.", ("debug", "info", "warning", "error"))
    binance_spot_ws_url: str = _setting("wss://data-stream.binance.vision", "Binance spot sockets.")
    binance_spot_rest_url: str = _setting("https://data-api.binance.vision", "Binance spot REST.")
    binance_usdm_ws_url: str = _setting("wss://fstream.binance.com", "Binance USD-M sockets.")
    binance_usdm_rest_url: str = _setting("https://fapi.binance.com", "Binance USD-M REST.")
    bybit_ws_url: str = _setting("wss://stream.bybit.com", "Bybit sockets.")
    bybit_rest_url: str = _setting("https://api.bybit.com", "Bybit REST.")
    binance_archive_url: str = _setting("https://data.binance.vision", "Binance daily archives.")
    bybit_archive_url: str = _setting("https://public.bybit.com", "Bybit daily archives.")
    backfill: str = _setting(
        "2d", "How far back an empty store is filled in the background: 2d, 12h or 0."
    )
    alerts_file: str = _setting("", "File of alert rules that `wadm up` runs; empty: none.")
    alerts_private: str = _setting(
        "off", "Alerts may go to private addresses and over plain HTTP.", ("off", "on")
    )
    row_sizes: str = _setting(
        "", "Fixed base row sizes, SYMBOL=SIZE by comma; others follow the venue's own ranges."
    )

    @property
    def backfill_ms(self) -> int:
        """The span of the background backfill in milliseconds; 0 for none."""
        number, unit = self.backfill[:-1], self.backfill[-1:]
        if self.backfill == "0":
            return 0
        if unit not in BACKFILL_UNITS or not (number.isascii() and number.isdecimal()):
            raise ConfigError("WADM_BACKFILL must look like 2d, 12h or 0")
        return min(int(number), MOST_BACKFILL_UNITS) * BACKFILL_UNITS[unit]

    @property
    def instance_name(self) -> str:
        """The name of this process, fit for every place it is written into."""
        if not INSTANCE.fullmatch(self.instance):
            raise ConfigError("WADM_INSTANCE takes at most 32 letters, digits, - and _")
        return self.instance

    @property
    def venue_list(self) -> tuple[str, ...]:
        """The venues, lower case."""
        return _names(self.venues.lower())

    @property
    def market_list(self) -> tuple[str, ...]:
        """The markets, lower case."""
        return _names(self.markets.lower())

    @property
    def fixed_row_sizes(self) -> dict[str, Decimal]:
        """Base row sizes given by hand, by symbol."""
        sizes: dict[str, Decimal] = {}
        for part in _names(self.row_sizes):
            symbol, _, size = part.partition("=")
            try:
                sizes[symbol.upper()] = Decimal(size)
            except InvalidOperation:
                raise ConfigError("WADM_ROW_SIZES needs SYMBOL=SIZE, by comma") from None
        return sizes


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


NOT_OURS = (
    "WADM_SHARED",
    "WADM_API_URL",
    "WADM_API_KEY",
    "WADM_API_KEY_FROM",
    "WADM_CACHE_TTL",
    "WADM_CACHE_DIR",
    "WADM_CA_FILE",
)
"""Variables of the tests and of wadm-client, which may share our environment."""
PARSERS: dict[str, Callable[[str], Any]] = {"str": str, "int": int, "float": float}


def read_settings(environ: Mapping[str, str], **overrides: Any) -> Settings:
    """Settings from an environment; ConfigError names an unknown or malformed variable."""
    fields = {f.name: f for f in dataclasses.fields(Settings)}
    known = dict.fromkeys(NOT_OURS, "") | {f"WADM_{name.upper()}": name for name in fields}
    values: dict[str, Any] = {}
    for variable, text in environ.items():
        if not variable.startswith("WADM_"):
            continue
        if variable not in known:
            raise ConfigError(f"unknown setting {variable}; see `wadm settings`")
        if name := known[variable]:
            values[name] = _parse(variable, fields[name], text)
    return Settings(**(values | overrides))


def _parse(variable: str, spec: dataclasses.Field[Any], text: str) -> Any:
    try:
        value = PARSERS[str(spec.type)](text)
    except ValueError:
        raise ConfigError(f"{variable} must be of type {spec.type}") from None
    choices = spec.metadata["choices"]
    if choices and value not in choices:
        raise ConfigError(f"{variable} must be one of: {', '.join(choices)}")
    return value
