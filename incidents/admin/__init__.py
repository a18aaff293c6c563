"""The admin of incidents, by page."""

from incidents.admin import board, deadline, incident, notice

__all__ = ["board", "deadline", "incident", "notice"]
