"""Incidents, the deadlines that run because of them, and the notices that are owed."""

from incidents.models.attachment import Attachment
from incidents.models.deadline import Deadline, Standing, TermsCopy
from incidents.models.incident import (
    AffectedAgreement,
    AffectedService,
    Incident,
    Pause,
    ReferenceCounter,
    Responder,
    TimelineEntry,
)
from incidents.models.intake import AlertGroup, CalendarFeed, IntakeToken
from incidents.models.message import MessageTemplate
from incidents.models.notice import Acknowledgement, DeliveryAttempt, Notice
from incidents.models.reach import reaches_beyond
from incidents.models.sending import Heartbeat, Sending
from incidents.models.tally import Tally

__all__ = [
    "Acknowledgement",
    "AffectedAgreement",
    "AffectedService",
    "AlertGroup",
    "Attachment",
    "CalendarFeed",
    "Deadline",
    "DeliveryAttempt",
    "Heartbeat",
    "Incident",
    "IntakeToken",
    "MessageTemplate",
    "Notice",
    "Pause",
    "ReferenceCounter",
    "Responder",
    "Sending",
    "Standing",
    "Tally",
    "TermsCopy",
    "TimelineEntry",
    "reaches_beyond",
]
