"""The admin of agreements, by page."""

from agreements.admin import agreement, calendar, client, commitment, navigation

__all__ = ["agreement", "calendar", "client", "commitment", "navigation"]
