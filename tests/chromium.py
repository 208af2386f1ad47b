"""Finds a Chromium for the journeys, or installs one, or says what to do. Never a skip.

``python -m tests.chromium`` prints the one that is used.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

SETTING = "PORTAL_CHROMIUM"
# the shell is the same browser without windows, and takes a third less of the processor
SHELL = "chromium-headless-shell"
NAMES = (SHELL, "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# as root there is no sandbox; the rest keeps a test browser from calling home
FLAGS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # a renderer for each of the payment page's frames takes a tenth more of the processor
    "--process-per-site",
    "--renderer-process-limit=1",
)
ADVICE = (
    "No Chromium was found and none could be installed. Install one (on Debian: apt-get install chromium), or"
    f" name the one that you have: {SETTING}=/path/to/chrome make test"
)


class NoBrowserError(Exception):
    """There is no browser for the journeys; the message says what to do."""


@cache
def chromium() -> Path:
    """The browser's program; installs one if none is found. Raises NoBrowserError."""
    found = _named() or _playwrights_own() or _on_the_path() or _downloaded() or _packaged()
    if found is None:
        raise NoBrowserError(ADVICE)
    return found


@contextmanager
def launched() -> Iterator[Browser]:
    """A Chromium that runs meanwhile, in which whoever needs it opens contexts of their own.

    Until it ends nothing else in the process can use asyncio. Raises NoBrowserError.
    """
    program = str(chromium())  # looking for it starts a Playwright of its own
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield browser
        browser.close()


def _named() -> Path | None:
    name = os.environ.get(SETTING)
    if not name:
        return None
    if not _runs(Path(name)):
        raise NoBrowserError(f"{SETTING} is {name}, which does not run.")
    return Path(name)


def _playwrights_own() -> Path | None:
    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
    return own if _runs(own) else None


def _on_the_path() -> Path | None:
    found = (Path(path) for name in NAMES if (path := shutil.which(name)))
    return next((path for path in found if _runs(path)), None)


def _downloaded() -> Path | None:
    print("No Chromium found; downloading one …", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)
    return _playwrights_own()


def _packaged() -> Path | None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return None
    subprocess.run(["apt-get", "update"], check=False)
    for package in (SHELL, "chromium"):
        subprocess.run(["apt-get", "install", "--yes", "--no-install-recommends", package], check=False)
        if found := _on_the_path():
            return found
    return None


def _runs(program: Path) -> bool:
    """Whether it starts here: a download may lack the system's libraries."""
    try:
        return subprocess.run([program, "--version"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


if __name__ == "__main__":
    try:
        print(f"Chromium: {chromium()}")
    except NoBrowserError as error:
        sys.exit(str(error))
