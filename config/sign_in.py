"""What somebody who has signed in may do."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend


class RoleBackend(ModelBackend):
    """Django's own, but people may what their roles may and nothing besides, as no page gives them anything else.

    It also saves every page a query.
    """

    def get_user_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        return set()
