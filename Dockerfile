# One image for every part: pages (as below), worker, beat, loop and commands differ in what they run (compose.yaml).
#
#   docker build --tag due-notice .

FROM python:3.12-slim AS build
WORKDIR /opt/due-notice
RUN python -m venv .venv
COPY requirements.txt .
RUN .venv/bin/pip install --no-cache-dir --disable-pip-version-check -r requirements.txt
COPY . .
# The demo's settings are enough to collect files, and what they make up stays in a folder that goes.
RUN DEMO=1 VAR_DIR=/tmp/build STATIC_ROOT=/opt/due-notice/static .venv/bin/python manage.py collectstatic --noinput \
    && rm -r /tmp/build \
    && .venv/bin/python -m compileall -q agreements config incidents reviews

FROM python:3.12-slim
RUN useradd --system --uid 10001 --no-create-home --home-dir /var/lib/due-notice due-notice \
    && install --directory --owner due-notice --mode 700 /var/lib/due-notice
# Root's, so that nothing that runs can change its own code.
COPY --from=build /opt/due-notice /opt/due-notice
WORKDIR /opt/due-notice
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
ENV VAR_DIR=/var/lib/due-notice STATIC_ROOT=/opt/due-notice/static
USER due-notice
VOLUME /var/lib/due-notice
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD [".venv/bin/python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz/live', timeout=4)"]
CMD [".venv/bin/gunicorn", "--config", "deploy/gunicorn.py", "--bind", "0.0.0.0:8000", "config.wsgi"]
