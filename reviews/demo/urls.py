"""The addresses of the demo's inbox, below /demo/."""

from __future__ import annotations

from django.urls import path

from reviews.demo import views

urlpatterns = [
    path("inbox/", views.inbox, name="demo_inbox"),
    path("inbox/<int:number>/", views.message, name="demo_message"),
    path("inbox/<int:number>/html/", views.message_html, name="demo_message_html"),
    path("inbox/<int:number>/source/", views.message_source, name="demo_message_source"),
]
