"""What machines reach, outside the admin: the intake of alerts, and the calendar feed. Nobody signs in to either."""

from __future__ import annotations

import json
import logging
from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from config import instants
from config.addresses import client_address
from config.limits import Limit, neighbourhood
from incidents import calendar_feed, intake

logger = logging.getLogger(__name__)

MOST_BYTES = 500_000
GUESSES = Limit("intake-guesses", most=20, window=60)  # wrong secrets from one client address
READS = Limit("calendar-reads", most=60, window=60)


def _says(status: int, sentence: str, **more: Any) -> JsonResponse:
    return JsonResponse({"message": sentence, **more}, status=status, headers={"Cache-Control": "no-store"})


def _too_often(seconds: int) -> JsonResponse:
    answer = _says(429, _("Too many calls. Try again in %(seconds)d seconds.") % {"seconds": seconds})
    answer.headers["Retry-After"] = str(seconds)
    return answer


# No form token: whoever calls is no browser, and the secret in its header is the whole right to.
@csrf_exempt
def alertmanager(request: HttpRequest) -> HttpResponse:
    """POST with `Authorization: Bearer …`: 200 with what became of it, 4xx with a sentence."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    now = instants.now()
    scheme, _space, secret = request.headers.get("Authorization", "").partition(" ")
    token = intake.find(secret.strip()) if scheme.casefold() == "bearer" else None
    if token is None:
        if seconds := GUESSES.wait(neighbourhood(client_address(request)), now):
            return _too_often(seconds)
        answer = _says(401, _("This needs the secret of an intake token that was not revoked, as a bearer token."))
        answer.headers["WWW-Authenticate"] = "Bearer"
        return answer
    if seconds := intake.wait(token, now):
        return _too_often(seconds)
    body = request.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        return _says(413, _("A message may have at most %(most)d bytes.") % {"most": MOST_BYTES})
    try:
        became, incident = intake.take(token, intake.post_of(json.loads(body)), now=now)
    except (ValueError, RecursionError):
        return _says(400, _("This is no JSON."))
    except intake.Wrong as wrong:
        return _says(400, str(wrong))
    except ValidationError as refusal:
        logger.warning("An alert by %s could not be taken: %s", token.name, refusal.messages)
        return _says(422, " ".join(refusal.messages))
    return _says(200, became.value, incident=incident.reference if incident else None)


def calendar(request: HttpRequest, token: str) -> HttpResponse:
    """The open deadlines of whoever the address was made for."""
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD"])
    now = instants.now()
    if seconds := READS.wait(neighbourhood(client_address(request)), now):
        return _sealed(_too_often(seconds))
    user = calendar_feed.reader(token)
    if user is None:
        return _sealed(HttpResponse(_("There is no calendar at this address."), status=404, content_type="text/plain"))
    content = calendar_feed.content(user)
    etag = calendar_feed.etag(content)
    if request.headers.get("If-None-Match") == etag:
        response = HttpResponse(status=304)
    else:
        response = HttpResponse(content, content_type="text/calendar; charset=utf-8")
        response.headers["Content-Disposition"] = 'inline; filename="deadlines.ics"'
    response.headers["ETag"] = etag
    return _sealed(response)


def _sealed(response: HttpResponse) -> HttpResponse:
    """Its address is a secret: nothing keeps it for others, or logs it."""
    response.headers["Cache-Control"] = "private, max-age=300"
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    response.headers["Referrer-Policy"] = "no-referrer"
    response._has_been_logged = True  # type: ignore[attr-defined]  # Django logs the address of every refusal
    return response
