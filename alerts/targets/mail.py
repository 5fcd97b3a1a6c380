"""E-mail over SMTP with TLS; its Message-ID is the id of the alert, so a repeat is the same mail.

The standard library's client works on a thread: a mail a minute needs no other.
"""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate

from alerts.book import TargetOptions
from alerts.message import lines, title
from alerts.reach import Reach
from alerts.targets.target import Delivered, Parcel, Target
from orderflow.errors import ConfigError

TIMEOUT_S = 15.0
SUBMISSION, SMTPS = 587, 465
SECURITY = ("starttls", "tls", "none")


def mail_of(parcel: Parcel) -> EmailMessage:
    """The message; a header that would hold a line break is refused by the library."""
    mail = EmailMessage()
    mail["Subject"] = title(parcel.alert)[:200]
    mail["From"] = parcel.options["sender"]
    mail["To"] = parcel.options["recipient"]
    mail["Date"] = formatdate(parcel.now_ms / 1_000, usegmt=True)
    mail["Message-ID"] = f"<{parcel.alert.id}@wadm.invalid>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["Idempotency-Key"] = parcel.alert.id
    mail.set_content("\n".join([title(parcel.alert), "", *lines(parcel.alert)]))
    return mail


async def deliver(parcel: Parcel, reach: Reach) -> Delivered:
    """One try, on a thread. A mail server may be private: it is the operator's own."""
    return await asyncio.to_thread(_send, parcel, reach.context)


def _send(parcel: Parcel, context: ssl.SSLContext) -> Delivered:
    options = parcel.options
    security = options.get("security", "starttls")
    if security not in SECURITY:
        raise ConfigError(f"security must be one of: {', '.join(SECURITY)}")
    usual = SMTPS if security == "tls" else SUBMISSION
    port = options.get("port", str(usual))
    if not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ConfigError("port must be 1 to 65535")
    try:
        with _connected(options["host"], int(port), security, context) as server:
            if "password" in options:
                if security == "none":
                    raise ConfigError("a password is not sent without TLS: security = starttls")
                server.login(options.get("user", options["sender"]), options["password"])
            server.send_message(mail_of(parcel))
    except smtplib.SMTPResponseException as error:
        return _refusal(error.smtp_code)
    except smtplib.SMTPRecipientsRefused as error:
        return _refusal(max(code for code, _ in error.recipients.values()))
    except (smtplib.SMTPException, OSError) as error:
        return Delivered("later", type(error).__name__)
    return Delivered("accepted", "SMTP 250")


def _connected(host: str, port: int, security: str, context: ssl.SSLContext) -> smtplib.SMTP:
    if security == "tls":
        return smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_S, context=context)
    server = smtplib.SMTP(host, port, timeout=TIMEOUT_S)
    try:
        if security == "starttls":
            server.starttls(context=context)
    except BaseException:
        server.close()
        raise
    return server


def _refusal(code: int) -> Delivered:
    """4yz means later, 5yz never. (RFC 5321, 4.2.1)"""
    return Delivered("later" if 400 <= code < 500 else "refused", f"SMTP {code}")


TARGET = Target(
    TargetOptions(
        ("host", "port", "security", "user", "sender", "recipient"),
        ("password",),
        ("host", "sender", "recipient"),
    ),
    deliver,
)
