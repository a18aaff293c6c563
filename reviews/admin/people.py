"""Who can be chosen."""

from __future__ import annotations

from config.models import User

COLLEAGUES = User.objects.to_choose()
