"""The verbs of a review and of its corrective actions, each in one transaction with its audit trail.

A verb that is not lawful raises Refused with a sentence, and nothing has changed.
"""

from incidents.lifecycle import Refused
from reviews.lifecycle.actions import finish, hand_over
from reviews.lifecycle.opening import NobodyToFacilitate, open_owed, open_review, waive
from reviews.lifecycle.verb import APPROVE, may_write
from reviews.lifecycle.workflow import approve, close, reopen, send_back, submit, what_is_missing

__all__ = [
    "APPROVE",
    "NobodyToFacilitate",
    "Refused",
    "approve",
    "close",
    "finish",
    "hand_over",
    "may_write",
    "open_owed",
    "open_review",
    "reopen",
    "send_back",
    "submit",
    "waive",
    "what_is_missing",
]
