"""`python -m apply_schema`."""

import sys

from apply_schema.command_line import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
