"""The admin of incidents, by page."""

from incidents.admin import (
    board,
    deadline,
    evidence,
    first_steps,
    incident,
    message,
    navigation,
    notice,
    panels,
    sending,
)

__all__ = [
    "board",
    "deadline",
    "evidence",
    "first_steps",
    "incident",
    "message",
    "navigation",
    "notice",
    "panels",
    "sending",
]
