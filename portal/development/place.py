"""Where a development start keeps its things, and what it checks before it begins."""

import fcntl
import os
import secrets
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from portal.errors import PortalError

PORT = 5000
# the only things that a reset deletes: what a start makes
FOLDERS = ("postgres", "mail", "logs")
FILES = (
    *("postgres.lock", "postgres.log", "processes.json", "secret_key"),
    *("webhook_secret", "thin_webhook_secret"),
    *("sandbox.sqlite", "sandbox.sqlite-wal", "sandbox.sqlite-shm", "sandbox.sqlite-journal"),
)
LOCK = "start.lock"
PROBE = ".writable"
MARKER = ".portal"
MARK = "'make run' of the portal keeps its data here; 'make reset' deletes it.\n"
# what tests and 'make lock' keep beside it
BESIDE = ("tests", "lock")
# mails hold links that sign somebody in; the folder itself stays open, since PostgreSQL may be another user
PRIVATE_FOLDERS = ("mail", "logs")
WAYS_OUT = "Make it writable, or use a copy of the project in a folder of your own."


class PlaceError(PortalError):
    """The portal cannot start here as it is; the message says why and the way out."""

    code = "place"


@dataclass(frozen=True)
class Place:
    """A folder and two ports."""

    folder: Path
    port: int
    sandbox_port: int

    @classmethod
    def from_env(cls, root: Path, environ: Mapping[str, str]) -> "Place":
        """``PORTAL_DATA_DIR``, ``PORTAL_PORT`` and ``PORTAL_SANDBOX_PORT``, or the usual ones."""
        port = _port(environ, "PORTAL_PORT", PORT)
        folder = Path(environ.get("PORTAL_DATA_DIR") or root / ".data").absolute()
        return cls(folder, port, _port(environ, "PORTAL_SANDBOX_PORT", port + 1))

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def sandbox_url(self) -> str:
        return f"http://localhost:{self.sandbox_port}"

    def make(self) -> None:
        """Make the folder, private where it must be, or say why it cannot be; a stranger's is refused."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._refuse_strangers()
            probe = self.folder / PROBE
            probe.touch()
            probe.unlink()
            (self.folder / MARKER).write_text(MARK)
            for name in PRIVATE_FOLDERS:
                (self.folder / name).mkdir(exist_ok=True)
                (self.folder / name).chmod(0o700)
            for name in FILES:
                if (self.folder / name).exists():
                    (self.folder / name).chmod(0o600)
        except OSError as error:
            raise PlaceError(
                f"The folder {self.folder} cannot be written ({error.strerror}). {WAYS_OUT}"
            ) from error

    def _refuse_strangers(self) -> None:
        """A folder is ours if we marked it, found it empty, or an older start left only our things in it."""
        names = {path.name for path in self.folder.iterdir()} - {*BESIDE, PROBE}
        strangers = sorted(names - {*FOLDERS, *FILES, LOCK})
        if MARKER in names or not names or (LOCK in names and not strangers):
            return
        raise PlaceError(
            f"The folder {self.folder} holds other things ({', '.join((strangers or sorted(names))[:3])}), so"
            " nothing is kept in it or deleted from it. Name an empty or a new folder in PORTAL_DATA_DIR."
        )

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the folder for one start at a time, and note its ports for who asks meanwhile."""
        with (self.folder / LOCK).open("a") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise PlaceError(
                    f"The portal already runs from {self.folder}. Stop it with Ctrl-C where it was started."
                ) from None
            handle.truncate(0)
            handle.write(f"{self.port} {self.sandbox_port}")
            handle.flush()
            yield

    def running(self) -> "Place":
        """The same folder with the ports of what runs from it at this moment, if anything does."""
        try:
            with (self.folder / LOCK).open() as handle:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return self
        except FileNotFoundError:
            return self
        except BlockingIOError:
            ports = (self.folder / LOCK).read_text().split()
            # none for the moment in which it begins
            return replace(self, port=int(ports[0]), sandbox_port=int(ports[1])) if ports else self

    def check_ports(self, *, sandbox: bool) -> None:
        """Both ports must be free."""
        wanted = {"PORTAL_PORT": self.port} | ({"PORTAL_SANDBOX_PORT": self.sandbox_port} if sandbox else {})
        for name, port in wanted.items():
            if _taken(port):
                raise PlaceError(
                    f"Port {port} is taken. Stop what uses it, or choose another:"
                    f" {name}={port + 100} make run"
                )

    def secret(self, name: str) -> str:
        """A random secret of this installation, made once and kept readable for its owner only."""
        path = self.folder / name
        if not path.exists():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_hex(32))
        return path.read_text().strip()

    def empty(self) -> None:
        """Delete what starts made, by name; whatever else is in the folder stays."""
        try:
            for name in (*FOLDERS, *FILES):
                path = self.folder / name
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise PlaceError(
                f"{error.filename} cannot be deleted ({error.strerror}). Delete it as its owner."
            ) from error


def _port(environ: Mapping[str, str], name: str, default: int) -> int:
    value = environ.get(name) or str(default)
    if not (value.isascii() and value.isdigit()) or len(value) > 5 or not 1 <= int(value) <= 65535:
        raise PlaceError(f"{name} must be a port between 1 and 65535, not {value}.")
    return int(value)


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError:
            raise PlaceError(f"Port {port} may only be used by root. Choose one above 1023.") from None
        except OSError:
            return True
    return False
