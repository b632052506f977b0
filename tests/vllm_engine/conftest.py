"""Real vLLM, in an environment of its own (`make test-vllm`); elsewhere none of this is collected."""

import sys
from pathlib import Path

from personascope.models.engine_choice import has_vllm

sys.path.insert(0, str(Path(__file__).parents[1] / "contract"))
collect_ignore_glob = [] if has_vllm() else ["test_*.py"]
