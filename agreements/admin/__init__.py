"""The admin of agreements, by page."""

from agreements.admin import agreement, calendar, client, commitment, first_steps, navigation, people

__all__ = ["agreement", "calendar", "client", "commitment", "first_steps", "navigation", "people"]
