"""Ways of running that need a process of their own: the V2 runner, and a model spread over two workers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_vllm

pytestmark = pytest.mark.slow
PROGRAM = Path(__file__).with_name("run_agreement.py")


def run(**environment):
    folder = tiny_vllm.folder("llama")
    return subprocess.run(
        [sys.executable, "-W", "ignore", str(PROGRAM), folder],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )


def test_the_second_runner_steers_and_reads_alike():
    pytest.importorskip("triton")
    done = run(VLLM_USE_V2_MODEL_RUNNER="1", TRITON_INTERPRET="1")
    assert "AGREED" in done.stdout, done.stderr[-3000:]
    assert "RUNNER vllm.v1.worker.cpu.model_runner" in done.stdout


def test_a_model_spread_over_two_workers_steers_and_reads_alike():
    done = run(WORKERS="2", VLLM_ENABLE_V1_MULTIPROCESSING="1")
    assert "AGREED" in done.stdout, done.stderr[-3000:]
    assert "WORKERS 2" in done.stdout
