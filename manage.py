#!/usr/bin/env python
"""Entry point of every management command; `python manage.py demo` needs nothing set up beforehand."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line

from config import start


def main() -> None:
    if sys.argv[1:2] == ["demo"]:
        # The settings must know before they load: only the demo may make up what production has to state.
        os.environ["DEMO"] = "1"
    start.load_settings()
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
