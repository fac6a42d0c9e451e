"""``python -m hemaview``: the same as the ``hemaview`` command."""

import sys

from hemaview.cli import main

if __name__ == "__main__":
    sys.exit(main())
