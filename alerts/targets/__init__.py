"""Every kind of target by the name it has in the file of rules."""

from __future__ import annotations

from alerts.targets import discord, mail, slack, telegram, webhook
from alerts.targets.target import Target

TARGETS: dict[str, Target] = {
    "webhook": webhook.TARGET,
    "telegram": telegram.TARGET,
    "discord": discord.TARGET,
    "slack": slack.TARGET,
    "email": mail.TARGET,
}
