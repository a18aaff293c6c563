"""The admin of incidents, by page."""

from incidents.admin import board, deadline, evidence, incident, message, navigation, notice, panels, sending

__all__ = ["board", "deadline", "evidence", "incident", "message", "navigation", "notice", "panels", "sending"]
