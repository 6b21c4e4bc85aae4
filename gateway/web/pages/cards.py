"""How a device is, in words: for its card and for the live strip."""

from __future__ import annotations

from gateway.devices import DeviceCard
from gateway.web.pages import words

TOPICS = "hearthlog/v1"
"""Root of the topics, as the protocol names it."""
STATES = {"awake": "Awake", "asleep": "Asleep", "look": "Needs a look", "away": "Away"}


def state_line(card: DeviceCard, now_us: int, zone: str) -> str:
    """What stands under its picture: how long ago, or since when it is away."""
    last = words.ago(card.device.last_seen_us, now_us)
    match card.state:
        case "asleep":
            return f"Asleep · {last}"
        case "away":
            return f"Away since {words.clock(card.since_us, zone)}"
        case "look":
            return f"{last} · {card.look.split(';')[0] or 'needs a look'}"
    return last
