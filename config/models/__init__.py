"""People who sign in, what they took out of the house, and what they keep for themselves."""

from config.models.export import Export
from config.models.person import User
from config.models.saved_filter import SavedFilter

__all__ = ["Export", "SavedFilter", "User"]
