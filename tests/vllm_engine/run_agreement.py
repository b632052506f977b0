"""Run as a program, in a process of its own: a tiny model on vLLM as the environment says, beside the reference."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace


def pretend_triton() -> None:
    """Let vLLM take its V2 runner on a processor, with Triton's interpreter: a test's trick, no way to run."""
    import triton

    driver = SimpleNamespace(is_active=lambda: True)
    triton.backends.backends["cpu"] = SimpleNamespace(driver=driver, compiler=None)


def main(folder: str) -> None:
    """Print which runner ran, after everything agreed."""
    if os.environ.get("VLLM_USE_V2_MODEL_RUNNER") == "1":
        pretend_triton()
    import tiny_vllm
    import torch
    from agreement import agree, reference

    from personascope.models.loading import Source
    from personascope.models.vllm.starting import Hosting, start

    tiny_vllm.folder = lambda _architecture: folder
    workers = int(os.environ.get("WORKERS", "1"))
    hosting = Hosting(tensor_parallel=workers, memory_gib=0.125)
    engine = start(Source("tiny-llama", folder), torch.float32, hosting)
    if workers == 1:
        core = engine.served.driver.llm.llm_engine.engine_core.engine_core
        sys.stdout.write(f"RUNNER {type(core.model_executor.driver_worker.worker.model_runner).__module__}\n")
    sys.stdout.write(f"WORKERS {len(engine.served.driver.ask('capacity'))}\n")
    agree(engine, reference())
    sys.stdout.write("AGREED\n")


if __name__ == "__main__":
    here = Path(__file__).parent
    sys.path[:0] = [str(here), str(here.parent)]
    main(sys.argv[1])
