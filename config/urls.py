"""The addresses: the admin is the whole site, besides a page for clients and what machines call; the demo has more."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    path("notice/", include("incidents.urls")),
    path("", include("incidents.outside")),
    path("", RedirectView.as_view(pattern_name="admin:index")),
]
handler400 = "config.refusals.bad_request"
handler500 = "config.unanswered.broken"
if settings.DEMO:
    urlpatterns.append(path("demo/", include("reviews.demo.urls")))
