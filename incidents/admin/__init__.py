"""The admin of incidents, by page."""

from incidents.admin import (
    as_it_was,
    board,
    deadline,
    evidence,
    first_steps,
    incident,
    intake,
    message,
    navigation,
    notice,
    panels,
    pseudonymise,
    sending,
)

__all__ = [
    "as_it_was",
    "board",
    "deadline",
    "evidence",
    "first_steps",
    "incident",
    "intake",
    "message",
    "navigation",
    "notice",
    "panels",
    "pseudonymise",
    "sending",
]
