"""Who can be chosen."""

from __future__ import annotations

from config.models import User

COLLEAGUES = User.objects.filter(is_active=True).order_by("username")
