"""Programs that measure, run by hand: `python -m tests.bench.burst`. See README.md.

Importing the package makes Django ready, as manage.py does; the database is chosen by `stage.on_postgres`.
"""

from __future__ import annotations

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
os.environ.setdefault("LOG_LEVEL", "WARNING")
django.setup()
