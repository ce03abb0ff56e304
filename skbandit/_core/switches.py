"""Words that switch something on or off, as an environment variable holds them."""

from __future__ import annotations

_OFF = {"0", "false", "no", "off", "none", "disabled"}
_ON = {"1", "true", "yes", "on", "enabled"}


def is_off(text: str) -> bool:
    """Whether a text says no; an empty one does not."""
    return text.strip().lower() in _OFF


def is_on(text: str) -> bool:
    """Whether a text says yes; an empty one does not."""
    return text.strip().lower() in _ON
