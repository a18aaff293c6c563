"""What was agreed, with whom, about which services."""

from agreements.models.agreement import ServiceAgreement, ServiceCoverage, Validity
from agreements.models.calendar import OpeningHours, ServiceCalendar, SpecialDay
from agreements.models.client import Client, Contact, Service
from agreements.models.commitment import Commitment, Obligation, Severity, StartEvent, WarningPoint
from agreements.models.definition import SeverityDefinition
from agreements.models.scope import ClientScope

__all__ = [
    "Client",
    "ClientScope",
    "Commitment",
    "Contact",
    "Obligation",
    "OpeningHours",
    "Service",
    "ServiceAgreement",
    "ServiceCalendar",
    "ServiceCoverage",
    "Severity",
    "SeverityDefinition",
    "SpecialDay",
    "StartEvent",
    "Validity",
    "WarningPoint",
]
