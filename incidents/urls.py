"""The addresses below notice/: one page for clients, reached by the link in their mail."""

from __future__ import annotations

from django.urls import re_path

from incidents import views

app_name = "incidents"

# Whatever stands there, with or without the last slash, is answered by the one view: nothing else answers as sealed.
urlpatterns = [re_path(r"^(?P<token>[\s\S]*)", views.acknowledge, name="acknowledge")]
