"""A baked checkpoint in stock vLLM: no plugin, no option of ours, and the greedy tokens are the hook's.

Runs where vLLM is installed (`make test-vllm`), in float32, one engine after another in this process.
"""

import gc
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from personascope.models.engine_choice import has_vllm

if not has_vllm():
    pytest.skip("vLLM is not installed", allow_module_level=True)

os.environ.update(
    HF_HUB_OFFLINE="1", VLLM_CPU_KVCACHE_SPACE="1", VLLM_ENABLE_V1_MULTIPROCESSING="0", VLLM_NO_USAGE_STATS="1"
)
os.environ.setdefault("OMP_NUM_THREADS", "2")
sys.path.insert(0, str(Path(__file__).parents[1]))

import tiny_models
import torch
import transformers
from vllm import LLM, SamplingParams

from personascope.models.baked_checkpoint import write_baked
from personascope.models.opening import engine_for, open_model
from personascope.models.protocols import Chat, Steering

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # vLLM and what it imports warn of much
]
TOKENS = 24
HEAD = 32
WIDE = {"hidden_size": 4 * HEAD, "vocab_size": 128}
"""vLLM's kernels have no heads as narrow as those of the other tests, and pad vocabularies."""


def told_by_vllm(folder, prompts):
    """Greedy token ids of stock vLLM for token-id prompts."""
    llm = LLM(str(folder), dtype="float32", enforce_eager=True, max_model_len=256, seed=0)
    asked = [{"prompt_token_ids": ids} for ids in prompts]
    greedy = SamplingParams(temperature=0, max_tokens=TOKENS, ignore_eos=True)
    told = [list(one.outputs[0].token_ids) for one in llm.generate(asked, greedy, use_tqdm=False)]
    del llm
    gc.collect()
    return told


def told_by_hook(engine, steered, prompts):
    """Greedy token ids of transformers' own forward pass with the hook, whole text again for each token."""
    told = []
    with torch.no_grad(), engine.steered(steered) as model:
        for prompt in prompts:
            ids = list(prompt)
            for _ in range(TOKENS):
                ids.append(int(model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
            told.append(ids[len(prompt) :])
    return told


def wide(architecture):
    """A random model with heads that vLLM has kernels for."""
    config = tiny_models.CONFIGS[architecture]()
    for name, value in WIDE.items():
        setattr(config, name, value)
    if architecture == "llama":
        config.head_dim = HEAD
    if architecture == "opt":
        config.word_embed_proj_dim = WIDE["hidden_size"]
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1 and "norm" not in name:
                weight.normal_(0, 0.15)
    return engine_for(model, tiny_models.tokenizer(), name=f"wide-{architecture}")


def baked_and_hook(make_engine, steered, folder, prompts):
    """Greedy ids of vLLM on the checkpoint, of the hook, and of the model as it is."""
    engine = make_engine()
    hook, plain = told_by_hook(engine, steered, prompts), told_by_hook(engine, (), prompts)
    write_baked(engine, steered, folder, chats=[Chat("Hello there")], describe=lambda _baked, _folder: None)
    return told_by_vllm(folder, prompts), hook, plain


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gpt_neox", "opt"])
def test_greedy_tokens_of_stock_vllm_are_the_hooks(architecture, tmp_path):
    rng = np.random.default_rng(0)
    one, two = (rng.standard_normal(WIDE["hidden_size"]).astype(np.float32) for _ in range(2))
    steered = (Steering({1: one, 2: two}, 0.7, "add", "all"),)
    prompts = [[int(token) for token in rng.integers(6, 100, n)] for n in (5, 9, 17)]
    baked, hook, plain = baked_and_hook(lambda: wide(architecture), steered, tmp_path / "out", prompts)
    assert baked == hook
    assert all(steered_ids != plain_ids for steered_ids, plain_ids in zip(hook, plain, strict=True))


def test_the_default_model(tmp_path):
    """Strength: a tenth of the residual's norm at the middle layer, along a fixed random direction."""
    engine = open_model("smollm2-135m", precision="float32")
    form = engine.loaded.chat_format
    chats = [Chat("What did you do today?"), Chat("Tell me a story."), Chat("What is the capital of France?")]
    prompts = [list(form.tokens(chat).ids) for chat in chats]
    direction = np.random.default_rng(0).standard_normal(engine.spec.width).astype(np.float32)
    norm = float(engine.residuals(chats[:1], ["It was fine."], layers=[15]).token_norm[0, 0])
    steered = (Steering({15: direction}, 0.1 * norm / float(np.linalg.norm(direction)), "add", "all"),)
    stored = {15: torch.from_numpy(steered[0].strength * direction).bfloat16().float().numpy()}
    baked, hook, plain = baked_and_hook(
        lambda: engine, (Steering(stored, 1.0, "add", "all"),), tmp_path / "out", prompts
    )
    assert baked == hook
    assert hook != plain
