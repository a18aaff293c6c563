"""What the auditor has counted and found so far, so that the metrics survive every restart and no scrape counts all."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class Tally(models.Model):
    """The one row: how many notices were accepted until then, and when each kind of problem was last found."""

    THE_ONE = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=THE_ONE)
    counted_until = models.DateTimeField(null=True)  # from the beginning
    accepted = models.JSONField(default=dict)  # by kind of notice: incidents.metrics.Accepted
    found = models.JSONField(default=dict)  # by key of a problem: seconds since 1970

    class Meta:
        constraints = (models.CheckConstraint(condition=Q(id=1), name="tally_is_one_row"),)

    def __str__(self) -> str:
        return str(self.counted_until)

    @classmethod
    def row(cls) -> Tally:
        """The row, or one that has counted nothing and is not saved."""
        return cls.objects.filter(pk=cls.THE_ONE).first() or cls()
