"""The admin of incidents, by page."""

from incidents.admin import board, deadline, evidence, incident, notice, sending

__all__ = ["board", "deadline", "evidence", "incident", "notice", "sending"]
