"""Incidents, the deadlines that run because of them, and the notices that are owed."""

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
from incidents.models.notice import DeliveryAttempt, Notice

__all__ = [
    "AffectedAgreement",
    "AffectedService",
    "Deadline",
    "DeliveryAttempt",
    "Incident",
    "Notice",
    "Pause",
    "ReferenceCounter",
    "Responder",
    "Standing",
    "TermsCopy",
    "TimelineEntry",
]
