"""A real SMTP server on a free port of loopback."""

from __future__ import annotations

from aiosmtpd.controller import Controller


class LoopbackController(Controller):
    """Listens on a free port of loopback."""

    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()
