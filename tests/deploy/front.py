"""The product as others reach it: nginx with the configuration of deploy/nginx before nodes that gunicorn serves."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import ssl
import subprocess
from collections.abc import Mapping
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Protocol
from urllib.parse import urlencode

import psycopg

from tests import cast
from tests.deploy.units import ROOT, command
from tests.services import children
from tests.services.processes import Processes

NAME = "notices.northwind.test"
CONFIGURATION = ROOT / "deploy" / "nginx" / "due-notice.conf"


class HasProcesses(Protocol):
    @property
    def processes(self) -> Processes: ...


class Front:
    """nginx on ports of its own, and the nodes behind it, each under a name."""

    def __init__(self, product: HasProcesses, folder: Path) -> None:
        self.product, self._folder = product, folder
        self.nodes: dict[str, int] = {}
        self._drained: set[str] = set()
        self._changes: dict[str, str] = {}
        self.port, self.plain_port = children.free_port(), children.free_port()
        self.certificate = folder / "certificate.pem"
        self._process: subprocess.Popen[bytes] | None = None
        product.processes.env |= {
            "ALLOWED_HOSTS": NAME,
            "PUBLIC_URL": f"https://{NAME}",
            "NOTICE_FROM": f"Notices <notices@{NAME}>",
            "BEHIND_PROXY": "1",
        }

    def change(self, old: str, new: str) -> None:
        """Say one thing otherwise than the configuration does."""
        assert old in CONFIGURATION.read_text()
        self._changes[old] = new

    # ── nodes ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def start_node(self, name: str, of: Processes | None = None) -> None:
        """As its unit does; returns once it is ready. `of` are the processes of another release."""
        port = self.nodes.setdefault(name, children.free_port())
        words = [word.replace("127.0.0.1:8000", f"127.0.0.1:{port}") for word in command("due-notice-web.service")[1:]]
        processes = of or self.product.processes
        processes.start(name, "-m", "gunicorn", *words)
        processes.wait_until(lambda: _is_ready(port), 30, f"{name} was ready")

    def reload_node(self, name: str) -> None:
        """New processes for the old ones, as `systemctl reload` has it; returns once a new one serves."""
        booted = self.product.processes.log(name).count("Booting worker")
        os.kill(self.product.processes.pid(name), signal.SIGHUP)
        self.product.processes.wait_until(
            lambda: self.product.processes.log(name).count("Booting worker") > booted, 30, f"{name} began anew"
        )

    def restart_node(self, name: str) -> None:
        """As the documentation says of a machine that goes: drained, stopped, started, let in again."""
        self.take_out_node(name)
        self.start_node(name)
        self.let_in_node(name)

    def take_out_node(self, name: str) -> None:
        self._drained.add(name)
        self.reload()
        assert self.product.processes.stop(name, timeout=45) == 0

    def let_in_node(self, name: str) -> None:
        self._drained.discard(name)
        self.reload()

    # ── nginx ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        nginx = shutil.which("nginx") or "/usr/sbin/nginx"
        if not Path(nginx).exists():
            children.unavailable("There is no nginx: install Debian's nginx.")
        key = self._folder / "key.pem"
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", f"/CN={NAME}"),
                *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
                *("-addext", f"subjectAltName=DNS:{NAME},IP:127.0.0.1", "-keyout", key, "-out", self.certificate),
            ],
            check=True,
            capture_output=True,
        )
        self._write()
        self._process = children.start(
            [nginx, "-c", self._folder / "nginx.conf", "-p", self._folder], log=self._folder / "nginx.log"
        )
        children.wait_until(self._listens, timeout=20, what="nginx listened", explain=self.log)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        if self._process is not None:
            children.end(self._process)

    def log(self) -> str:
        return children.tail(self._folder / "nginx.log")

    def reload(self) -> None:
        """With its configuration as it is now; returns once nobody works by the old one."""
        assert self._process is not None
        old = set(children.session_members(self._process.pid)) - {self._process.pid}
        self._write()
        self._process.send_signal(signal.SIGHUP)
        pid = self._process.pid
        children.wait_until(
            lambda: not old & set(children.session_members(pid)), timeout=20, what="nginx began anew", explain=self.log
        )

    def _write(self) -> None:
        text = CONFIGURATION.read_text()
        for old, new in self._changes.items():
            text = text.replace(old, new)
        nodes = "".join(
            f"    server 127.0.0.1:{port} max_fails=1 fail_timeout=5s{' down' if name in self._drained else ''};\n"
            for name, port in self.nodes.items()
        )
        text = re.sub(r" +server 127\.0\.0\.1:8000 max_fails=1 fail_timeout=5s;\n", nodes, text)
        text = re.sub(r"^ +listen \[::\].*\n", "", text, flags=re.MULTILINE)
        text = text.replace("listen 80;", f"listen 127.0.0.1:{self.plain_port};")
        text = text.replace("listen 443 ssl;", f"listen 127.0.0.1:{self.port} ssl;")
        text = text.replace("notices.example.com", NAME)
        text = text.replace("/etc/ssl/due-notice/fullchain.pem", str(self.certificate))
        text = text.replace("/etc/ssl/due-notice/privkey.pem", str(self._folder / "key.pem"))
        (self._folder / "due-notice.conf").write_text(text)
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        places = " ".join(f"{kind}_temp_path {self._folder}/{kind};" for kind in kinds)
        (self._folder / "nginx.conf").write_text(
            f"{'user root;' if os.geteuid() == 0 else ''} daemon off; pid {self._folder}/pid; error_log stderr;\n"
            f"events {{}}\nhttp {{ access_log off; {places} include {self._folder}/due-notice.conf; }}\n"
        )

    def _listens(self) -> bool:
        try:
            Visitor(self).ask("GET", "/admin/login/")
        except OSError:
            assert self._process is not None
            assert self._process.poll() is None, self.log()
            return False
        return True

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """What the database says."""
        with psycopg.connect(self.product.processes.env["DATABASE_URL"]) as connection:
            return connection.execute(query.encode()).fetchall()


class Visitor:
    """A browser as far as forms and cookies go, on a connection of its own for each request."""

    def __init__(self, front: Front) -> None:
        self.front = front
        self.cookies: SimpleCookie = SimpleCookie()

    def ask(
        self, method: str, path: str, form: Mapping[str, object] | None = None, **headers: str
    ) -> tuple[http.client.HTTPResponse, str]:
        connection = http.client.HTTPSConnection("127.0.0.1", self.front.port, context=self.context(), timeout=30)
        headers = {
            "Host": NAME,
            "Origin": f"https://{NAME}",
            "Cookie": "; ".join(f"{name}={morsel.value}" for name, morsel in self.cookies.items()),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        body = None
        if form is not None:
            token = self.cookies["due_notice_csrf"].value
            body = urlencode({**form, "csrfmiddlewaretoken": token}, doseq=True)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        for cookie in answer.headers.get_all("Set-Cookie", []):
            self.cookies.load(cookie)
        return answer, text

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.front.certificate))

    def sign_in(self, username: str) -> None:
        self.ask("GET", "/admin/login/")
        form = {"username": username, "password": cast.PASSWORD, "next": "/admin/"}
        answer, text = self.ask("POST", "/admin/login/", form)
        assert answer.status == 302, text


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/healthz/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
