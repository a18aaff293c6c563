"""What is written to the log: lines by which an act can be followed, and nothing that people wrote.

A line never holds a mail address, a subject or text of a mail, a link's key or what an error quotes: whoever calls a
logger leaves them out, and what the libraries would say is put in other words here. That an address is also struck out
of the finished line is the second line of defence, not the first.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
import traceback
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any
from uuid import UUID

from django.http import HttpRequest

#: Gives (the id of the act that is going on, that of the act which asked for it), as the audit trail has them.
Following = Callable[[], tuple[UUID | None, UUID | None]]


def _nothing() -> tuple[None, None]:
    return None, None


_following: Following = _nothing

#: What of a record's `extra` is written besides; libraries put whole requests and arguments there.
FACTS = ("method", "route", "status", "ms", "user")

#: What these say below INFO has values in it, or nothing that helps: SQL with its parameters, all that a template was
#: given, a message of the broker byte for byte.
SILENT_BELOW_INFO = (
    "django.db.backends",
    "django.template",
    "mail.log",
    "asyncio",
    "kombu",
    "amqp",
    "celery",
    "urllib3",
)
#: What says every second that it rings.
TICKING = ("celery.worker.strategy", "celery.app.trace", "celery.beat")


def follow(act: Following) -> None:
    """How to know which act is going on; config/history.py says so once models may be read."""
    global _following
    _following = act


def followed() -> tuple[UUID | None, UUID | None]:
    """Which act is going on, and which one asked for it."""
    return _following()


# ── the parts of a line ─────────────────────────────────────────────────────────────────────────────────────────────


def message(record: logging.LogRecord) -> str:
    """What it says. Django's lines about a request name its address, and Celery's about a failure what it said."""
    request = getattr(record, "request", None)
    if isinstance(request, HttpRequest):
        return f"{getattr(record, 'status_code', '')} {request.method} {route(request)}".strip()
    task = getattr(record, "data", None)
    if record.name == "celery.app.trace" and isinstance(task, dict) and "description" in task:
        return f"Task {task.get('name')}[{task.get('id')}] {task['description']}"
    return record.getMessage()


def route(request: HttpRequest) -> str:
    """The name of the page, which has no keys in it; `-` where there is none."""
    match = request.resolver_match
    return (match.view_name or match.route) if match else "-"


def said(error: BaseException) -> str:
    """The kind of an error, and of its words only those that cannot quote what anybody wrote."""
    kind = type(error)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    words = ""
    if isinstance(error, OSError) and error.errno is not None:
        words = error.strerror or ""
    elif isinstance(error, (AttributeError, NameError, ImportError)):
        words = str(error)
    elif state := getattr(error, "sqlstate", None):  # psycopg: the rest of what it says has the row's values
        words = " ".join(filter(None, (state, getattr(error.diag, "constraint_name", None))))  # type: ignore[attr-defined]
    return f"{name}: {words}" if words else name


def traced(error: BaseException, trace: TracebackType | None = None) -> str:
    """Where it happened, the first of a chain first, and `said` of each."""
    return "\n".join(_traced(error, trace or error.__traceback__, set()))


def _traced(error: BaseException, trace: TracebackType | None, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in seen:
        yield from _traced(before, before.__traceback__, seen)
        yield "which led to:"
    yield "".join(traceback.format_tb(trace)).rstrip("\n")
    yield said(error)


_ADDRESS = re.compile(r"[^\s@<>\"'(),;:]+@[^\s@<>\"'(),;:]+\.[A-Za-z][^\s@<>\"'(),;:]*")
_LINK = re.compile(r"/notice/[^\s\"'<>]+")


def struck_out(line: str) -> str:
    """Without what looks like a mail address or a client's link: should somebody have forgotten."""
    return _LINK.sub("/notice/…", _ADDRESS.sub("…@…", line))


# ── the two formats ─────────────────────────────────────────────────────────────────────────────────────────────────


class Plain(logging.Formatter):
    """For people: one line, and below it where an error happened."""

    def format(self, record: logging.LogRecord) -> str:
        return struck_out(self.line(record))

    def line(self, record: logging.LogRecord) -> str:
        facts = self.facts(record)
        rest = "".join(f" {name}={facts[name]}" for name in (*FACTS, "request_id", "cause") if name in facts)
        line = f"{facts['at']} {facts['level']} {facts['logger']}: {facts['message']}{rest}"
        return f"{line}\n{facts['error']}" if "error" in facts else line

    def facts(self, record: logging.LogRecord) -> dict[str, Any]:
        """All that is known of it, by name."""
        act, cause = followed()
        instant = dt.datetime.fromtimestamp(record.created, dt.UTC)
        return {
            "at": instant.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": message(record),
            **{name: getattr(record, name) for name in FACTS if getattr(record, name, None) is not None},
            **({"request_id": str(act)} if act else {}),
            **({"cause": str(cause)} if cause else {}),
            "process": record.process,
            **self._error(record),
        }

    def _error(self, record: logging.LogRecord) -> dict[str, str]:
        _kind, error, trace = record.exc_info or (None, None, None)
        return {"error": traced(error, trace)} if error is not None else {}


class Json(Plain):
    """For machines: one object a line."""

    def line(self, record: logging.LogRecord) -> str:
        return json.dumps(self.facts(record), ensure_ascii=False, default=str)


def configuration(*, level: str, form: str) -> dict[str, Any]:
    """Django's LOGGING: everything to standard error, in one format."""
    at_least_info = "INFO" if level == "DEBUG" else level
    ticking = "ERROR" if level == "ERROR" else "WARNING"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"plain": {"()": Plain}, "json": {"()": Json}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": form}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            **{name: {"level": at_least_info} for name in SILENT_BELOW_INFO},
            **{name: {"level": ticking} for name in TICKING},
            "mail.log": {"level": "WARNING"},  # the demo's inbox, which names senders and recipients at INFO
            "django": {"handlers": [], "level": at_least_info, "propagate": True},
            "django.server": {"handlers": [], "level": "CRITICAL", "propagate": False},  # has addresses of pages
            "gunicorn.error": {"handlers": ["console"], "propagate": False},
        },
    }
