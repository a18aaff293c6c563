"""The verbs of an incident. Each is one transaction: the incident, its deadlines, its notices and the audit trail.

Every verb takes who (`by`), the present instant (`now`, aware) and where it makes sense when it happened (`at`,
default now) and why (`reason`). A verb that is not lawful raises Refused with a sentence, and nothing has changed.
"""

from incidents.lifecycle.corrections import apply_present_terms, correct_times, reclassify
from incidents.lifecycle.declaring import AlreadyDeclared, declare, foresee
from incidents.lifecycle.merging import MergePreview, merge, preview_merge
from incidents.lifecycle.pausing import pause, resume
from incidents.lifecycle.progress import acknowledge, close, mitigate, reopen, resolve
from incidents.lifecycle.response import assign, note
from incidents.lifecycle.scope import affected_clients, agreements_for, exclude_agreement, include_agreement
from incidents.lifecycle.telling import draft, notify_client, post_update, record_told, send_test
from incidents.lifecycle.verb import Refused

__all__ = [
    "AlreadyDeclared",
    "MergePreview",
    "Refused",
    "acknowledge",
    "affected_clients",
    "agreements_for",
    "apply_present_terms",
    "assign",
    "close",
    "correct_times",
    "declare",
    "draft",
    "exclude_agreement",
    "foresee",
    "include_agreement",
    "merge",
    "mitigate",
    "note",
    "notify_client",
    "pause",
    "post_update",
    "preview_merge",
    "reclassify",
    "record_told",
    "reopen",
    "resolve",
    "resume",
    "send_test",
]
