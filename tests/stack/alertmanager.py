"""Debian's Alertmanager, and which alerts it has."""

import json
import urllib.request
from collections.abc import Mapping, Sequence

from tests.stack import configuration
from tests.stack.programs import Program

__all__ = ["Alertmanager"]


class Alertmanager(Program):
    """A server that tells at once what it is told.

    Parameters
    ----------
    settings : str, optional
        Its configuration; default: one that sends to nobody.
    """

    def __init__(self, settings: str | None = None) -> None:
        super().__init__("prometheus-alertmanager")
        self.write({"alertmanager.yml": settings or configuration.alertmanager()})

    def options(self) -> Sequence[str]:
        """Alone, without the cluster that it would look for."""
        return (
            f"--config.file={self.folder / 'alertmanager.yml'}",
            f"--storage.path={self.folder / 'data'}",
            f"--web.listen-address={self.address}",
            "--cluster.listen-address=",
            "--log.level=warn",
        )

    def active(self) -> set[str]:
        """Names of the alerts that it has, that are not resolved and not held back by others."""
        told = json.loads(self.get("/api/v2/alerts?active=true&inhibited=false"))
        return {alert["labels"]["alertname"] for alert in told}

    def tell(self, alerts: Sequence[Mapping[str, str]]) -> None:
        """Let alerts with these labels fire, as Prometheus would."""
        body = json.dumps([{"labels": labels} for labels in alerts]).encode()
        address = f"http://{self.address}/api/v2/alerts"
        request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30):
            pass
