"""What a browser may load and run on our pages: nothing but our own files.

django-csp puts `PAGES` on every response that does not bring a policy of its own.
"""

from __future__ import annotations

from collections.abc import Callable

from csp.constants import NONE, SELF
from django.http import HttpRequest, HttpResponse

REPORTS = "/csp-reports"  # where browsers report what they refused (config/browser_reports.py)
PAGES = {
    "default-src": [NONE],
    "script-src": [SELF],
    "style-src": [SELF],
    "img-src": [SELF],
    "font-src": [SELF],
    "connect-src": [SELF],
    "manifest-src": [SELF],
    "frame-src": [SELF],
    "form-action": [SELF],
    "base-uri": [NONE],
    "frame-ancestors": [NONE],
    "report-uri": [REPORTS],  # which every browser knows; those that know `report-to` would take nothing else beside it
}

#: What a page of ours may use of the machine that it is read on; passkeys are for our own pages.
PERMISSIONS = ", ".join(
    [
        *(f"{feature}=()" for feature in ("camera", "display-capture", "geolocation", "microphone", "midi", "payment")),
        *(f"{feature}=()" for feature in ("accelerometer", "gyroscope", "magnetometer", "usb")),
        *(f"{feature}=(self)" for feature in ("publickey-credentials-create", "publickey-credentials-get")),
    ]
)


class BrowserMiddleware:
    """Puts on every answer what a browser may do with it, as far as Django and django-csp do not."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        answer = self.get_response(request)
        answer["Permissions-Policy"] = PERMISSIONS
        answer["Cross-Origin-Resource-Policy"] = "same-origin"
        return answer


#: A mail's own document. Mail programs know styles only inline, so it may have them; but it stands in a sandbox without
#: an origin: no script, no form, no address of ours, nothing loaded. Links open in a tab of their own, and only a page
#: of ours may frame it.
MAIL = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; "
    "img-src data:; form-action 'none'; frame-ancestors 'self'"
)


def mail_document(html: str) -> HttpResponse:
    """The HTML of a mail as a document of its own, for an iframe with an address of its own as `src`.

    Never by `srcdoc`: that inherits the policy of the page around it, which would strip the mail of its styles.
    """
    response = HttpResponse(html.replace("<head>", '<head><base target="_blank">', 1))
    response["Content-Security-Policy"] = MAIL
    response["X-Frame-Options"] = "SAMEORIGIN"
    return response
