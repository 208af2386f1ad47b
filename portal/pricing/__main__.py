"""Run the pricing program on standard input and output."""

import sys

from portal.pricing.program import main

# A closed standard input is None.
sys.exit(main(sys.argv[1:], sys.stdin.buffer if sys.stdin else None, sys.stdout))
