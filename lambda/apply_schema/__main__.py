"""`python -m apply_schema`."""

import os
import sys

from apply_schema.command_line import main

if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # Python would first take apart every module: a tenth of a run with nothing to do, for nobody.
    os._exit(code)
