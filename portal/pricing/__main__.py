"""Run the pricing program on standard input and output."""

import sys

from portal.pricing.program import run

# A closed standard stream is None.
sys.exit(run(sys.argv[1:], sys.stdin.buffer if sys.stdin else None, sys.stdout, sys.stderr))
