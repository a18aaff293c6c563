"""The roles, as groups. Each app's migration grants its own permissions; a role is the sum of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db import migrations

OPERATOR = "operator"
MANAGER = "manager"
AUDITOR = "auditor"
ADMINISTRATOR = "administrator"
ROLES = (OPERATOR, MANAGER, AUDITOR, ADMINISTRATOR)

Grants = Mapping[str, Sequence[str]]  # role → codenames such as "view_client"


def grant(app_label: str, grants: Grants) -> migrations.RunPython:
    """A migration step that gives the roles these permissions of one app; running it again changes nothing."""
    return migrations.RunPython(_granting(app_label, grants), migrations.RunPython.noop)


def _granting(app_label: str, grants: Grants) -> Callable[[Any, Any], None]:
    def step(apps: Any, schema_editor: Any) -> None:
        groups = apps.get_model("auth", "Group")
        permissions = apps.get_model("auth", "Permission")
        content_types = apps.get_model("contenttypes", "ContentType")
        for role, codenames in grants.items():
            group, _ = groups.objects.get_or_create(name=role)
            for codename in codenames:
                action, model = codename.split("_", 1)
                content_type, _ = content_types.objects.get_or_create(app_label=app_label, model=model)
                # Django makes these rows only after the last migration, and then finds ours.
                permission, _ = permissions.objects.get_or_create(
                    content_type=content_type, codename=codename, defaults={"name": f"Can {action} {model}"}
                )
                group.permissions.add(permission)

    return step


def every(action: str, *models: str) -> list[str]:
    """Codenames of one action on several models: every("view", "client", "contact")."""
    return [f"{action}_{model}" for model in models]
