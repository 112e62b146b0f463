"""A gate before the dashboard: pages are shown to those who have the link, which holds a token.

Dask's pages ask for no password, and every user of a machine reaches its loopback interface.
"""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from tornado.routing import Router
from tornado.web import Application, RequestHandler

if TYPE_CHECKING:
    from tornado.httpserver import HTTPServer
    from tornado.httputil import HTTPMessageDelegate, HTTPServerRequest

__all__ = ["Gate"]

ARGUMENT = "token"
REFUSED = "This dashboard is shown to those who have its link with the token: client.dashboard_link has it.\n"


class Gate(Router):
    """Serves requests that know a token: in a cookie, as bearer, or in the link, which then sets the cookie.

    Parameters
    ----------
    server : HTTPServer
        Listens already; the gate takes the place of its application.
    """

    def __init__(self, server: HTTPServer) -> None:
        self.token = secrets.token_urlsafe()
        self.cookie = f"simherd-dashboard-{server.port}"  # type: ignore[attr-defined]  # Dask sets it
        self._inner: Any = server.request_callback
        self._door = Application([(".*", _Door, {"gate": self})], log_function=lambda handler: None)
        server.request_callback = self

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> HTTPMessageDelegate | None:
        """Return what answers a request."""
        application = self._inner if self._may_pass(request) else self._door
        found: HTTPMessageDelegate | None = application.find_handler(request, **kwargs)
        return found

    def _may_pass(self, request: HTTPServerRequest) -> bool:
        cookie = request.cookies.get(self.cookie)
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return self.knows(bearer if cookie is None else cookie.value)

    def knows(self, token: str) -> bool:
        """Return whether a text is the token."""
        return hmac.compare_digest(token.encode(), self.token.encode())

    def link(self, address: str) -> str:
        """Return the address of a page with the token."""
        return f"{address}{'&' if '?' in address else '?'}{urlencode({ARGUMENT: self.token})}"


class _Door(RequestHandler):
    """Lets those in who come by the link, and shows others what they need."""

    def initialize(self, gate: Gate) -> None:
        self.gate = gate

    def prepare(self) -> None:
        if self.gate.knows(self.get_query_argument(ARGUMENT, "")):
            self.set_cookie(self.gate.cookie, self.gate.token, httponly=True, samesite="Lax")
            self.redirect(self.request.path)
        else:
            self.set_status(403)
            self.set_header("Content-Type", "text/plain")
            self.finish(REFUSED)
