"""The pricing program on streams that are closed, full or unreadable: one line and exit status 2."""

import subprocess
import sys

import pytest

from tests.pricing.asking import ROOT, ask_program

CATALOGS = b'{"op": "catalogs"}'
UNWRITTEN = "The answer cannot be written to standard output: "


def run_with(redirections: str) -> tuple[int, str]:
    """The exit status and standard error of the program under a shell's redirections."""
    command = ["/bin/sh", "-c", f'"$0" -m portal.pricing {redirections}', sys.executable]
    done = subprocess.run(command, input=CATALOGS, capture_output=True, cwd=ROOT, timeout=60, check=False)
    return done.returncode, done.stderr.decode()


@pytest.mark.parametrize(
    ("redirections", "said"),
    [
        ("> /dev/full", f"{UNWRITTEN}No space left on device.\n"),
        (">&-", f"{UNWRITTEN}it is closed.\n"),
        ("> /dev/full 2>&-", ""),
        (">&- 2>&-", ""),
        (">&- 2>/dev/full", ""),
    ],
)
def test_an_answer_that_cannot_be_written_is_one_line(redirections: str, said: str) -> None:
    assert run_with(redirections) == (2, said)


def test_a_reader_that_has_gone_is_one_line() -> None:
    command = [sys.executable, "-m", "portal.pricing"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, cwd=ROOT) as process:
        assert process.stdout
        process.stdout.close()
        process.stdout = None
        _, said = process.communicate(CATALOGS, timeout=60)

    assert (process.returncode, said.decode()) == (2, f"{UNWRITTEN}Broken pipe.\n")


def test_a_standard_input_that_cannot_be_read_is_answered() -> None:
    command = ["/bin/sh", "-c", '"$0" -m portal.pricing 0> /dev/null', sys.executable]
    done = subprocess.run(command, capture_output=True, cwd=ROOT, timeout=60, check=False)

    assert (done.returncode, done.stderr) == (2, b"")
    assert b"The input cannot be read: Bad file descriptor." in done.stdout


def test_an_answer_arrives_as_before() -> None:
    assert ask_program(CATALOGS).status == 0
