"""Where the audit trail tells of something."""

from __future__ import annotations

from django import template
from django.db import models
from django.urls import reverse
from django.utils.http import urlencode

from config.audit.trail import ref
from config.models import User

register = template.Library()


@register.simple_tag
def trail_of(obj: models.Model) -> str:
    """The address of what was done to it and to its parts."""
    return f"{reverse('admin:trail')}?{urlencode({'object': ref(obj)})}"


@register.simple_tag
def trail_by(obj: models.Model) -> str:
    """The address of what this person did; nothing for what is no person."""
    return f"{reverse('admin:trail')}?{urlencode({'actor': obj.pk})}" if isinstance(obj, User) else ""
