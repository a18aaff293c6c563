"""Policies that a manager can start from; each can be changed before it is saved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from agreements.models import Severity


@dataclass(frozen=True)
class PolicyPreset:
    """`terms` are fields of ReviewPolicy."""

    key: str
    name: str | Promise
    description: str | Promise
    terms: dict[str, Any]


PRESETS = (
    PolicyPreset(
        "critical",
        _("Every critical incident"),
        _("Reviewed within 5 days; its first action within 3, done within 30; outstanding ones told on Mondays."),
        {
            "severity": Severity.CRITICAL.value,
            "review_within": 5,
            "actions_assigned_within": 3,
            "actions_done_within": 30,
            "outstanding_on": 1,
        },
    ),
    PolicyPreset(
        "high",
        _("Every incident of high severity"),
        _("Reviewed within 10 days; its first action within 7, done within 60."),
        {
            "severity": Severity.HIGH.value,
            "review_within": 10,
            "actions_assigned_within": 7,
            "actions_done_within": 60,
        },
    ),
    PolicyPreset(
        "everything",
        _("Every incident, open ones included"),
        _("Reviewed within 20 days, for a team that learns from small things too; actions done within 90."),
        {
            "severity": "",
            "review_within": 20,
            "actions_assigned_within": 14,
            "actions_done_within": 90,
            "includes_open_incidents": True,
        },
    ),
)
