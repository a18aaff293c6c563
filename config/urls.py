"""The addresses: the admin is the whole site, besides one page for clients; the demo adds its inbox."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    path("notice/", include("incidents.urls")),
    path("", RedirectView.as_view(pattern_name="admin:index")),
]
if settings.DEMO:
    urlpatterns.append(path("demo/", include("reviews.demo.urls")))
