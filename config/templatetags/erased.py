"""Template filter for values that may have been given up."""

from __future__ import annotations

from django import template

from config import erased

register = template.Library()
register.filter("shown", erased.shown)
