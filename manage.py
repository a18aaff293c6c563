#!/usr/bin/env python
"""Entry point of every management command; `python manage.py demo` needs nothing set up beforehand."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if sys.argv[1:2] == ["demo"]:
        # The settings must know before they load: only the demo may make up what production has to state.
        os.environ["DEMO"] = "1"
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
