"""What ACID means here, with counts: each letter, and controls beside it that must fail."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "lambda"))  # the order path that is shown
