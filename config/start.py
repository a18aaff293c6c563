"""Loads the settings for whatever is started: a command, the web server, a worker, the beat."""

from __future__ import annotations

import os
import sys
from importlib import import_module

from django.core.exceptions import ImproperlyConfigured

#: With this code gunicorn gives up instead of starting a worker again and again; a supervisor can be told the same.
WRONG_SETTINGS = 3


def load_settings() -> None:
    """Where they cannot be used, the process says why in a sentence, without a traceback, and ends with code 3."""
    name = os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        import_module(name)
    except ImproperlyConfigured as error:
        sys.stderr.write(f"Due Notice does not start: {error}\n")
        raise SystemExit(WRONG_SETTINGS) from None
