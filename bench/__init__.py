"""What is measured, each figure against its floor in the same run."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "lambda"))  # what is measured in this process
