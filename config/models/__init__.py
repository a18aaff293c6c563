"""People who sign in, what they did, what they took out of the house, and what somebody should look at."""

from config.models.browser_report import BrowserReport
from config.models.concern import Concern, Examination, LookedAt
from config.models.event import Event, EventKind
from config.models.export import Export
from config.models.given_up import GivenUp
from config.models.person import User
from config.models.saved_filter import SavedFilter
from config.models.seal import Seal, SealedRange

__all__ = [
    "BrowserReport",
    "Concern",
    "Event",
    "EventKind",
    "Examination",
    "Export",
    "GivenUp",
    "LookedAt",
    "SavedFilter",
    "Seal",
    "SealedRange",
    "User",
]
