"""Errors to Sentry, where SENTRY_DSN says so: which kind, where, on which page; nothing that people wrote or sent.

Imported only then, so that nobody else needs the library.
"""

from __future__ import annotations

from typing import Any

import sentry_sdk

from config import __version__, logs

#: Of an event; everything else, such as what somebody adds one day, is left out.
KEPT = ("event_id", "timestamp", "level", "logger", "platform", "release", "server_name", "transaction", "exception")
KEPT_OF_FRAME = ("filename", "function", "module", "lineno", "in_app")


def start(dsn: str) -> None:
    """Report what nobody caught, and what is logged as an error."""
    sentry_sdk.init(
        dsn=dsn,
        release=__version__,
        send_default_pii=False,
        include_local_variables=False,
        include_source_context=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        auto_session_tracking=False,
        before_send=scrubbed,
    )


def scrubbed(event: Any, hint: dict[str, Any]) -> Any:
    """The event with nothing but what is known to be harmless."""
    kept = {name: event[name] for name in KEPT if name in event}
    if "exception" in kept:
        kept["exception"] = {"values": _errors(event["exception"].get("values", ()), hint)}
    if record := hint.get("log_record"):
        kept["logentry"] = {"message": logs.struck_out(logs.message(record))}
    act, cause = logs.followed()
    kept["tags"] = {name: str(value) for name, value in (("request_id", act), ("cause", cause)) if value}
    return kept


def _errors(values: Any, hint: dict[str, Any]) -> list[dict[str, Any]]:
    """Each of a chain by its kind and place; its words, which may quote anything, stay here."""
    error = (hint.get("exc_info") or (None, None))[1]
    last = logs.said(error) if error is not None else ""
    return [
        {
            "type": value.get("type"),
            "module": value.get("module"),
            "mechanism": {"type": "generic", "handled": (value.get("mechanism") or {}).get("handled", True)},
            "value": last if number == len(values) else "",
            "stacktrace": {"frames": [_frame(frame) for frame in (value.get("stacktrace") or {}).get("frames", ())]},
        }
        for number, value in enumerate(values, start=1)
    ]


def _frame(frame: dict[str, Any]) -> dict[str, Any]:
    return {name: frame[name] for name in KEPT_OF_FRAME if name in frame}
