"""`python -m trust_core`."""

import sys

from trust_core.cli import main

if __name__ == "__main__":
    sys.exit(main())
