"""The verbs of a review and of its corrective actions, each in one transaction with its audit trail.

A verb that is not lawful raises Refused with a sentence, and nothing has changed.
"""

from incidents.lifecycle import Refused
from reviews.lifecycle.actions import (
    ask_again,
    check,
    drop,
    finish,
    hand_over,
    recurrence,
    start,
    take_up_again,
)
from reviews.lifecycle.authors import has_written, may_approve
from reviews.lifecycle.checklist import Check, checklist, what_is_missing
from reviews.lifecycle.document import join, move, pick
from reviews.lifecycle.opening import NobodyToFacilitate, open_owed, open_review, waive
from reviews.lifecycle.sharing import Prepared, Shared, Standing, prepare, send_test, share, standings
from reviews.lifecycle.statements import SEND, PreparedStatement, is_over, prepare_statement, send_statement
from reviews.lifecycle.verb import APPROVE, is_of_it, may_steer, may_write
from reviews.lifecycle.workflow import approve, close, reopen, send_back, submit

__all__ = [
    "APPROVE",
    "SEND",
    "Check",
    "NobodyToFacilitate",
    "Prepared",
    "PreparedStatement",
    "Refused",
    "Shared",
    "Standing",
    "approve",
    "ask_again",
    "check",
    "checklist",
    "close",
    "drop",
    "finish",
    "hand_over",
    "has_written",
    "is_of_it",
    "is_over",
    "join",
    "may_approve",
    "may_steer",
    "may_write",
    "move",
    "open_owed",
    "open_review",
    "pick",
    "prepare",
    "prepare_statement",
    "recurrence",
    "reopen",
    "send_back",
    "send_statement",
    "send_test",
    "share",
    "standings",
    "start",
    "submit",
    "take_up_again",
    "waive",
    "what_is_missing",
]
