"""The WSGI application that gunicorn serves."""

from __future__ import annotations

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from config import patience, start

start.load_settings()
patience.limit_pages(settings.DATABASES["default"])
application = get_wsgi_application()
