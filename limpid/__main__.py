"""`python -m limpid` is the command `limpid`."""

import sys

from limpid.cli import main

if __name__ == "__main__":
    sys.exit(main())
