"""Child processes that start and stop together, and leave nothing behind when their parent is killed."""

import ctypes
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

PR_SET_PDEATHSIG = 1
# children's files (mails, the sandbox's state) are for their owner only
UMASK = 0o077
STOP_SECONDS = 25.0
LAST_LINES = 12

_libc = ctypes.CDLL(None)


def _die_with_parent() -> None:
    """In the child: be told to stop when the parent dies, however it dies."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass
class Processes:
    """The children of one start, each in a group of its own: Ctrl-C reaches only the parent."""

    folder: Path
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def _record(self) -> Path:
        return self.folder / "processes.json"

    def start(self, name: str, command: list[str], environment: Mapping[str, str]) -> None:
        """Run ``command``; what it prints goes to ``logs/<name>.log``, which begins anew at each start."""
        log = self.log(name)
        log.parent.mkdir(exist_ok=True)
        with log.open("wb") as output:
            self.children[name] = subprocess.Popen(
                command,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=UMASK,
                preexec_fn=_die_with_parent,
            )
        pids = {name: [child.pid, _started(child.pid)] for name, child in self.children.items()}
        self._record.write_text(json.dumps(pids))

    def log(self, name: str) -> Path:
        """The file that the child's output goes to."""
        return self.folder / "logs" / f"{name}.log"

    def ended(self) -> str | None:
        """The name of a child that has ended, if any."""
        return next((name for name, child in self.children.items() if child.poll() is not None), None)

    def last_words(self, name: str) -> str:
        """The end of what a child printed."""
        lines = self.log(name).read_text(errors="replace").splitlines()
        return "\n".join(lines[-LAST_LINES:])

    def stop(self, *, at_once: bool = False) -> None:
        """Ask all to stop, and kill what does not within STOP_SECONDS."""
        for child in self.children.values():
            _signal(child.pid, signal.SIGKILL if at_once else signal.SIGTERM, group=at_once)
        end = time.monotonic() + STOP_SECONDS
        for child in self.children.values():
            with suppress(subprocess.TimeoutExpired):
                child.wait(max(0.0, end - time.monotonic()))
            _signal(child.pid, signal.SIGKILL, group=True)
            child.wait()
        self._record.unlink(missing_ok=True)

    def stop_leftovers(self) -> list[str]:
        """End what a start that was killed left running; returns the names."""
        try:
            recorded = json.loads(self._record.read_text())
        except (FileNotFoundError, ValueError):
            return []
        left = {
            name: pid for name, (pid, started) in recorded.items() if started and _started(pid) == started
        }
        for pid in left.values():
            _signal(pid, signal.SIGTERM)
        end = time.monotonic() + STOP_SECONDS
        while any(_started(pid) == recorded[name][1] for name, pid in left.items()):
            if time.monotonic() > end:
                for pid in left.values():
                    _signal(pid, signal.SIGKILL, group=True)
                break
            time.sleep(0.05)
        self._record.unlink(missing_ok=True)
        return list(left)


def _signal(pid: int, number: signal.Signals, *, group: bool = False) -> None:
    try:
        os.killpg(pid, number) if group else os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def _started(pid: int) -> str | None:
    """When the process began, in ticks since boot: with its number, an identity. None for a dead one."""
    try:
        state, *values = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError, ValueError):
        return None
    return None if state == "Z" else values[18]
