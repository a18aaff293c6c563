"""What the board and the navigation show of reviews."""

from __future__ import annotations

import datetime as dt

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from config.admin import list_of
from config.navigation import Count, Entry, Part
from config.site import Tile, site
from reviews.admin import compliance, learning
from reviews.models import CorrectiveAction


@site.register_tile
def overdue_actions(request: HttpRequest, now: dt.datetime) -> Tile | None:
    if not request.user.has_perm("reviews.view_correctiveaction"):
        return None
    rows = CorrectiveAction.objects.all().overdue(timezone.localdate(now))
    return Tile(_("Corrective actions overdue"), rows, f"{list_of(CorrectiveAction)}?progress=overdue", "bad")


site.register_entries(
    Entry(_("What we learn"), f"admin:{learning.PAGE}", learning.PERMISSION, Part.LEARNING),
    Entry(
        _("Reviews"), "admin:reviews_postincidentreview_changelist", "reviews.view_postincidentreview", Part.LEARNING
    ),
    Entry(
        _("Corrective actions"),
        "admin:reviews_correctiveaction_changelist",
        "reviews.view_correctiveaction",
        Part.LEARNING,
        Count(lambda now: CorrectiveAction.objects.all().overdue(timezone.localdate(now)), _("overdue"), "warn"),
    ),
    Entry(_("Compliance"), f"admin:{compliance.PAGE}", compliance.PERMISSIONS[1], Part.OVERSIGHT),
    Entry(_("Factors"), "admin:reviews_factor_changelist", "reviews.view_factor", Part.LEARNING),
    Entry(_("Review policies"), "admin:reviews_reviewpolicy_changelist", "reviews.view_reviewpolicy", Part.LEARNING),
    Entry(_("Questions"), "admin:reviews_questionset_changelist", "reviews.view_questionset", Part.LEARNING),
)
