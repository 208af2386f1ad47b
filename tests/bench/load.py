"""Load from outside: ``wrk`` for rates (its own process), a paced loop for latencies at a given rate."""

import http.client
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

CONNECTIONS = 8
SIGNED = """
local file = io.open("{events}", "r")
function request()
  local line = file:read("*l")
  if not line then file:seek("set"); line = file:read("*l") end
  local cut = line:find("\\t")
  wrk.headers["Stripe-Signature"] = line:sub(1, cut - 1)
  wrk.headers["Content-Type"] = "application/json"
  return wrk.format("POST", nil, nil, line:sub(cut + 1))
end
"""
POSTED = """
local file = io.open("{bodies}", "r")
local keys = {{{keys}}}
local turn = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
function request()
  local line = file:read("*l")
  if not line then error("more requests than bodies") end
  turn = turn % #keys + 1
  wrk.headers["Authorization"] = "Bearer " .. keys[turn]
  return wrk.format(nil, nil, nil, line)
end
"""


class NoLoadGeneratorError(RuntimeError):
    """wrk is not installed."""


@dataclass(frozen=True)
class Rate:
    """Requests a second, and how many of them did not answer 2xx."""

    per_second: float
    failed: int


def rate(
    url: str,
    seconds: int,
    *,
    script: str | None = None,
    cookie: str | None = None,
    connections: int = CONNECTIONS,
) -> Rate:
    """Drive ``url`` as fast as it answers, after a warm-up of a second where each request is the same."""
    wrk = shutil.which("wrk")
    if wrk is None:
        raise NoLoadGeneratorError("The benchmarks need wrk: install the package 'wrk' of your distribution.")
    command = [wrk, "-t1", f"-c{connections}", url]
    if cookie:
        command += ["-H", f"Cookie: {cookie}"]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as lua:
        if script:
            lua.write(script)
            lua.flush()
            command += ["-s", lua.name]
        else:
            subprocess.run([*command, "-d1s"], check=True, capture_output=True)
        done = subprocess.run([*command, f"-d{seconds}s"], check=True, capture_output=True, text=True)
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
    found = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    return Rate(float(found[1]) if found else 0.0, int(failed[1]) if failed else 0)


def signed_script(events: Iterable[tuple[str, str]], folder: Path) -> str:
    """A wrk script that posts each (signature, body) once, in order."""
    path = folder / "events.tsv"
    path.write_text("".join(f"{signature}\t{body}\n" for signature, body in events))
    return SIGNED.format(events=path)


def posted_script(bodies: Iterable[str], keys: Iterable[str], folder: Path) -> str:
    """A wrk script that posts each body once, in order, the keys in turn; it fails for lack of bodies."""
    path = folder / "bodies.jsonl"
    with path.open("w") as file:
        file.writelines(f"{body}\n" for body in bodies)
    return POSTED.format(bodies=path, keys=", ".join(f'"{key}"' for key in keys))


def paced(url: str, events: Iterable[tuple[str, str]], per_second: float) -> list[float]:
    """Post events one by one at a fixed rate over one connection; the latencies in milliseconds, sorted."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    taken = []
    begin = time.perf_counter()
    for number, (signature, body) in enumerate(events):
        time.sleep(max(0.0, begin + number / per_second - time.perf_counter()))
        started = time.perf_counter()
        connection.request("POST", parts.path, body, {"Stripe-Signature": signature})
        connection.getresponse().read()
        taken.append((time.perf_counter() - started) * 1000)
    connection.close()
    return sorted(taken)


def percentile(values: list[float], share: float) -> float:
    """The value below which ``share`` of the sorted values lie."""
    return values[min(len(values) - 1, int(len(values) * share))]
