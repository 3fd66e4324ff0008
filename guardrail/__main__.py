"""`python -m guardrail` is the command line."""

import sys

from guardrail.cli import main

if __name__ == "__main__":
    sys.exit(main())
