"""Certificates for tests, made by openssl as an administrator would make them."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Authority", "Identity"]


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its key, both PEM; `store` has both, as Apache Kafka reads them."""

    certificate: Path
    key: Path
    store: Path


class Authority:
    """Issues certificates; `certificate` is what those who trust it are given.

    Parameters
    ----------
    folder : Path
        Where everything is put.
    name : str
    """

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.certificate, self._key = folder / "ca.pem", folder / "ca.key"
        self._make(self.certificate, self._key, name, "basicConstraints=critical,CA:TRUE")

    def issue(self, name: str, *, password: str = "") -> Identity:
        """Make a certificate for 127.0.0.1, its key under a password where there is one."""
        made = [self._folder / f"{name}.{kind}" for kind in ("pem", "key", "store.pem")]
        identity = Identity(*made)
        signed = ["-CA", str(self.certificate), "-CAkey", str(self._key)]
        self._make(identity.certificate, identity.key, name, "subjectAltName=IP:127.0.0.1", *signed)
        identity.store.write_bytes(identity.key.read_bytes() + identity.certificate.read_bytes())
        if password:
            locked = ["-passout", f"pass:{password}", "-out", str(identity.key)]
            _openssl("pkcs8", "-topk8", "-in", str(identity.store), *locked)
        return identity

    def _make(self, certificate: Path, key: Path, name: str, extension: str, *signed: str) -> None:
        made = ["-keyout", str(key), "-out", str(certificate), "-subj", f"/CN={name}"]
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"]
        _openssl("req", "-x509", *curve, *made, "-days", "2", "-addext", extension, *signed)


def _openssl(*arguments: str) -> None:
    made = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
