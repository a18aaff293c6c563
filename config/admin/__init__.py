"""The base of every admin in the product, and the admin of people and of what they exported."""

from config.admin import data, exports, installation, people
from config.admin.base import ACTING_METHODS, AuditedModelAdmin, Button, CappedPaginator
from config.admin.histories import READING_METHODS
from config.admin.reasons import ReasonForm, edits, edits_since
from config.admin.values import act_url, badge, both_zones, link, list_of, page_of, zoned

__all__ = [
    "ACTING_METHODS",
    "READING_METHODS",
    "AuditedModelAdmin",
    "Button",
    "CappedPaginator",
    "ReasonForm",
    "act_url",
    "badge",
    "both_zones",
    "data",
    "edits",
    "edits_since",
    "exports",
    "installation",
    "link",
    "list_of",
    "page_of",
    "people",
    "zoned",
]
