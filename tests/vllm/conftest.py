"""Real vLLM, in an environment of its own (`make test-vllm`); elsewhere none of this is collected."""

import importlib.util
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "contract"))
collect_ignore_glob = [] if importlib.util.find_spec("vllm") else ["test_*.py"]
