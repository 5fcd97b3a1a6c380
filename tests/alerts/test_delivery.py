"""Delivery over real sockets: signed, tried again, obedient, never to private hosts."""

from __future__ import annotations

import asyncio
import json
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from alert_support import QUICK, SECRET, Receiver, book_from, receiver, sender_on, until
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from alerts.evaluation import Alert
from alerts.journal import MOST_PENDING, Journal, Message
from alerts.message import alert_from, body_of, text_of
from alerts.reach import ForbiddenAddressError, Reach, UnsentError, is_public
from alerts.retrying import Retries, pause_of
from alerts.rule import TargetEntry
from alerts.sender import deliver
from alerts.targets import TARGETS
from alerts.targets.target import Delivered, Parcel
from backbone.clock import wall_ms
from backbone.telemetry import configure_logs
from orderflow.errors import ConfigError
from wadm.certificates import Authority

NOW = 1_735_689_600_000
ALERT = Alert(
    id="0123456789abcdef",
    rule="big-delta",
    symbol="BTCUSDT",
    what="delta above 500",
    value="512.3",
    as_of="2025-01-01T00:00:00.000Z",
    age_ms=120,
    final=False,
    state="contiguous",
    coverage="1",
    source="simulated",
    answer="order_flow",
    parameters={"period": "5m"},
    note="look at <!channel> & co",
)
DESK = TargetEntry("desk", "webhook", (), ())


def message(number: int = 0, created_ms: int = NOW) -> Message:
    body = body_of(ALERT).replace(b"0123456789abcdef", f"{number:016x}".encode())
    return Message(f"{number:016x}", "desk", "big-delta", body, created_ms, created_ms)


async def sent(kind: str, options: dict[str, str], reach: Reach | None = None) -> Delivered:
    parcel = Parcel(ALERT, body_of(ALERT), options, NOW)
    target = TargetEntry("t", kind, (), ())
    return await deliver(target, parcel, reach or Reach(allow_private=True))


async def worked_off(folder: Path, there: Receiver, messages: list[Message]) -> dict[str, int]:
    """Put messages into a journal, let a sender run, and count how they ended."""
    sender = sender_on(folder, {"url": there.url, "secret": SECRET}, now_ms=lambda: NOW)
    clock = iter(range(NOW, NOW + 10**9, 50))
    sender.now_ms = lambda: next(clock)
    with sender.journal as journal:
        journal.commit({}, messages)
        work = asyncio.create_task(sender.run(DESK))
        await until(lambda: journal.waiting("desk") == 0, "everything settled")
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        return {state: count for (_, state), count in journal.counts().items()}


async def test_a_webhook_is_signed(tmp_path: Path) -> None:
    """An independent implementation of Standard Webhooks gives the same signature."""
    async with receiver() as there:
        given = await sent("webhook", {"url": there.url, "secret": SECRET})
        assert given == Delivered("accepted", "HTTP 204")
        (hit,) = there.hits
    assert hit.headers["idempotency-key"] == hit.headers["webhook-id"] == ALERT.id
    assert hit.headers["webhook-timestamp"] == str(NOW // 1_000)
    assert json.loads(hit.body)["alert"]["age_ms"] == 120
    at = datetime.fromtimestamp(NOW // 1_000, UTC)
    signed = Webhook(SECRET).sign(ALERT.id, at, hit.body.decode())
    assert signed == hit.headers["webhook-signature"]


async def test_a_bad_signature_is_refused(tmp_path: Path) -> None:
    """A receiver that verifies takes ours now and refuses a changed body and a wrong secret."""
    async with receiver() as there:
        for secret in (SECRET, "whsec_" + "AAAA" * 8):
            parcel = Parcel(ALERT, body_of(ALERT), {"url": there.url, "secret": secret}, wall_ms())
            await deliver(DESK, parcel, Reach(allow_private=True))
    good, wrong = there.hits
    assert Webhook(SECRET).verify(good.body, good.headers)["alert"]["id"] == ALERT.id
    for hit, body in ((wrong, wrong.body), (good, good.body.replace(b"512.3", b"999.9"))):
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(body, hit.headers)


async def test_tries_again_with_the_same_id_and_body(tmp_path: Path) -> None:
    """After 500, 503 and a refused connection comes the same id with the same bytes."""
    async with receiver() as there:
        there.plan = [(500, {}, b""), (503, {}, b"")]
        assert await worked_off(tmp_path, there, [message(1)]) == {"sent": 1}
        assert len({(hit.headers["idempotency-key"], hit.body) for hit in there.hits}) == 1
        assert len(there.hits) == 3
    dead = sender_on(tmp_path / "two", {"url": there.url, "secret": SECRET}, now_ms=lambda: NOW)
    with dead.journal as journal:
        journal.commit({}, [message(2)])
        given = await dead.once(DESK, message(2))
        assert (given.outcome, given.words) == ("later", "ConnectError")
        kept = journal.next_for("desk")
        assert kept is not None
        assert (kept.tries, kept.due_ms) == (1, NOW + 10)


async def test_retry_after_is_obeyed(tmp_path: Path) -> None:
    """429 with Retry-After makes every message of that target wait at least as long."""
    async with receiver() as there:
        there.plan = [(429, {"Retry-After": "7"}, b"")]
        sender = sender_on(tmp_path, {"url": there.url, "secret": SECRET}, now_ms=lambda: NOW)
        with sender.journal as journal:
            journal.commit({}, [message(1), message(2)])
            first = journal.next_for("desk")
            assert first is not None
            given = await sender.once(DESK, first)
            assert (given.outcome, given.words, given.pause_s) == ("later", "HTTP 429", 7.0)
            waiting = journal.next_for("desk")
            assert waiting is not None
            assert waiting.due_ms >= NOW + 7_000


async def test_what_can_not_be_delivered_is_declared(tmp_path: Path) -> None:
    """A client error is refused at once, a target that is always away given up within the budget,
    what does not fit into the queue dropped: each is counted under its name."""
    async with receiver() as there:
        there.plan = [(400, {}, b""), (302, {"Location": "/x"}, b"")]
        assert await worked_off(tmp_path / "a", there, [message(1), message(2)]) == {"refused": 2}
        there.plan = [(500, {}, b"")] * 50
        assert await worked_off(tmp_path / "b", there, [message(3)]) == {"given_up": 1}
        assert len(there.hits) == 2 + QUICK.tries
    with Journal(tmp_path / "c") as journal:
        many = [message(n) for n in range(MOST_PENDING + 3)]
        assert [one.id for one in journal.commit({}, many)] == [one.id for one in many[-3:]]
        counts = {("desk", "waiting"): MOST_PENDING, ("desk", "dropped"): 3}
        assert journal.counts() == counts
        assert journal.commit({}, many) == []
        assert journal.counts() == counts


def test_when_to_try_again() -> None:
    """Full jitter under a ceiling that doubles up to a cap; a pause is obeyed on top of it."""
    plan = Retries(first_s=1, longest_s=8, budget_s=100, tries=6)
    top = [plan.next_ms(0, 0, tried, lambda: 1.0, None) for tried in range(1, 7)]
    assert top == [1_000, 2_000, 4_000, 8_000, 8_000, None]
    assert plan.next_ms(0, 0, 4, lambda: 0.0, None) == 0
    assert plan.next_ms(0, 0, 1, lambda: 1.0, 50.0) == 51_000
    assert plan.next_ms(0, 99_500, 1, lambda: 1.0, None) is None
    assert pause_of("120", 0) == 120
    assert pause_of("Thu, 01 Jan 1970 00:01:00 GMT", 0) == 60
    assert [pause_of(text, 0) for text in ("", None, "soon", "nan")] == [None] * 4
    assert [pause_of(text, 0) for text in ("-5", "9999999")] == [0, 86_400]


async def test_chat_templates() -> None:
    """Telegram, Discord and Slack get their own shapes, mention nobody, and their pauses count."""
    async with receiver() as there:
        base = there.url.removesuffix("/hook")
        telegram = {"api": base, "token": "1:abc", "chat_id": "42"}
        there.plan = [(429, {}, b'{"ok":false,"parameters":{"retry_after":3}}')]
        assert (await sent("telegram", telegram)).pause_s == 3
        there.plan = [(429, {}, b'{"retry_after":0.5}')]
        assert (await sent("discord", {"url": there.url})).pause_s == 0.5
        assert (await sent("slack", {"url": there.url})).outcome == "accepted"
        asked = [json.loads(hit.body) for hit in there.hits]
        assert there.hits[0].path == "/bot1:abc/sendMessage"
    assert (asked[0]["chat_id"], asked[0]["text"]) == ("42", text_of(ALERT))
    assert asked[1]["allowed_mentions"] == {"parse": []}
    assert "&lt;!channel&gt; &amp; co" in asked[2]["text"]
    for said in ("[SIMULATED]", "512.3", "as of 2025-01-01T00:00:00.000Z", "0.1 s old when found"):
        assert said in asked[0]["text"]
    assert "provisional, contiguous, coverage 1" in asked[0]["text"]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://127.0.0.1/x", "private address"),
        ("https://10.1.2.3/x", "private address"),
        ("https://169.254.169.254/latest", "private address"),
        ("https://[::1]/x", "private address"),
        ("https://[::ffff:10.0.0.1]/x", "private address"),
        ("https://[64:ff9b::a00:1]/x", "private address"),
        ("https://localhost/x", "private address"),
        ("http://example.com/x", "must begin with https"),
        ("ftp://example.com/x", "must begin with https"),
        ("https://u:p@example.com/x", "no user or password"),
        ("https://[bad/x", "is none"),
    ],
)
async def test_private_places_are_refused(url: str, message: str) -> None:
    """Nothing is sent to loopback, private, link-local or wrapped addresses, nor without TLS; and
    no error repeats the URL."""
    with pytest.raises(ConfigError) as refused:
        await Reach(allow_private=False).post(url, {}, b"")
    assert message in str(refused.value)
    assert url not in str(refused.value)


def test_public_addresses() -> None:
    """What is public and what is not."""
    assert is_public("8.8.8.8")
    assert is_public("2606:4700::1111")
    hidden = ("192.168.0.1", "100.64.0.1", "0.0.0.0", "224.0.0.1", "fe80::1%eth0", "fc00::1")
    assert not any(is_public(one) for one in (*hidden, "2002:a00:1::", "2001:0:1::", "ff02::1"))


async def test_a_name_that_changes_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with one public and one private address is refused as a whole."""
    reach = Reach(allow_private=False)
    loop = asyncio.get_running_loop()

    async def both(*_: object, **__: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        return [(2, 1, 6, "", ("8.8.8.8", 443)), (2, 1, 6, "", ("10.0.0.1", 443))]

    monkeypatch.setattr(loop, "getaddrinfo", both)
    with pytest.raises(ForbiddenAddressError):
        await reach.post("https://two.example/x", {}, b"")
    monkeypatch.undo()
    with pytest.raises(UnsentError, match="not known"):
        await reach.post("https://nowhere.invalid/x", {}, b"")


class Mailbox:
    """Keeps mails, or answers with a code."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.answer = "250 OK"

    async def handle_DATA(  # noqa: N802 (aiosmtpd's name)
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        self.mails.append(envelope.original_content or b"")
        return self.answer


def contexts(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS of a server on localhost, and of a client that trusts its authority."""
    authority = Authority.made()
    pair = authority.issue("localhost", ["localhost"])
    (folder / "key").write_bytes(pair.key)
    (folder / "cert").write_bytes(pair.certificate)
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(folder / "cert", folder / "key")
    trusting = ssl.create_default_context(cadata=authority.pair.certificate.decode())
    return ours, trusting


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_mail(tmp_path: Path) -> None:
    """A mail goes over STARTTLS with a verified certificate; 4yz means later, 5yz never; without
    TLS no password is sent; its Message-ID is the alert's id."""
    ours, trusting = contexts(tmp_path)
    box = Mailbox()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(box, tls_context=ours, require_starttls=True, loop=loop), "127.0.0.1", 0
    )
    port = str(server.sockets[0].getsockname()[1])
    options = {
        "host": "localhost",
        "port": port,
        "sender": "a@x.example",
        "recipient": "b@x.example",
    }
    reach = Reach(allow_private=False, context=trusting)
    async with server:
        assert await sent("email", options, reach) == Delivered("accepted", "SMTP 250")
        text = box.mails[0].decode()
        assert f"Message-ID: <{ALERT.id}@" in text
        assert "Subject: [SIMULATED] big-delta: BTCUSDT delta above 500" in text
        box.answer = "451 later"
        assert await sent("email", options, reach) == Delivered("later", "SMTP 451")
        box.answer = "550 never"
        assert await sent("email", options, reach) == Delivered("refused", "SMTP 550")
        plain = {**options, "security": "none"}
        assert (await sent("email", plain, reach)).words == "SMTP 530"
        secret = await sent("email", {**plain, "password": "x"}, reach)
        assert "not sent without TLS" in secret.words
        stranger = await sent("email", options, Reach(allow_private=False))
        assert stranger == Delivered("later", "SSLCertVerificationError")
    assert "security must be" in (await sent("email", {**options, "security": "x"}, reach)).words


async def test_no_secret_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever goes wrong, neither log nor answer holds the token, the secret or the URL."""
    configure_logs("debug")
    async with receiver() as there:
        there.plan = [(500, {}, b""), (404, {}, b"topsecret")]
        options = {"api": there.url, "token": "topsecret", "chat_id": "1"}
        words = []
        for number in (1, 2):
            sender = sender_on(tmp_path / str(number), options)
            with sender.journal as journal:
                journal.commit({}, [message(number)])
                target = TargetEntry("desk", "telegram", (), ())
                words.append((await sender.once(target, message(number))).words)
    told = capsys.readouterr()
    assert "topsecret" not in told.out + told.err + " ".join(words)
    assert "alert." in told.err


def test_every_kind_is_told_apart() -> None:
    """The registry is complete, and what it needs is what it takes."""
    assert set(TARGETS) == {"webhook", "telegram", "discord", "slack", "email"}
    for kind in TARGETS.values():
        assert set(kind.takes.needed) <= {*kind.takes.options, *kind.takes.secrets}
    assert alert_from(body_of(ALERT)) == ALERT
    book = book_from(
        '[targets.m]\nkind = "email"\nhost = "h"\nsender = "a"\nrecipient = "b"\nport = 25\n'
        '[rules.a]\nsymbols = ["X1"]\ntargets = ["m"]\nstale = true\n'
    )
    assert dict(book.targets[0].options)["port"] == "25"
