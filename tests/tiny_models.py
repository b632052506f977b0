"""Tiny random models of each architecture and a tokenizer of single characters, made in memory."""

import string

import torch
import transformers
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from personascope.models.opening import engine_for
from personascope.models.running import Limits

SPECIAL = ["<pad>", "<s>", "</s>", "<|user|>", "<|system|>", "<|model|>"]
CHARACTERS = string.ascii_letters + string.digits + string.punctuation + " \n"
N_TOKENS = len(SPECIAL) + len(CHARACTERS)
WIDTH, LAYERS, HEADS = 32, 4, 4

TEMPLATE = (
    "{% for m in messages %}{{ '<|' + ('model' if m['role'] == 'assistant' else m['role']) + '|>' + m['content'] }}"
    "{% endfor %}{% if add_generation_prompt %}<|model|>{% endif %}"
)
NO_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system turn') }}{% endif %}" + TEMPLATE
THINKING = TEMPLATE + "{% if enable_thinking is defined and not enable_thinking %}~{% endif %}"


def tokenizer(template: str | None = TEMPLATE) -> PreTrainedTokenizerFast:
    """Every character is a token, so that every reply reads back as it was written."""
    vocabulary = {token: i for i, token in enumerate([*SPECIAL, *CHARACTERS])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    inner.decoder = decoders.Fuse()
    inner.add_special_tokens(SPECIAL)
    made = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        additional_special_tokens=SPECIAL[3:],
    )
    made.chat_template = template
    return made


_USUAL = {
    "vocab_size": N_TOKENS,
    "hidden_size": WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "max_position_embeddings": 512,
    "bos_token_id": 1,
    "pad_token_id": 0,
    "eos_token_id": list(range(len(SPECIAL))),
}
_LLAMA = {**_USUAL, "intermediate_size": 48, "num_key_value_heads": 2}
_GEMMA = {**_LLAMA, "head_dim": 8, "sliding_window": 64, "query_pre_attn_scalar": 8}

CONFIGS = {
    "llama": lambda: transformers.LlamaConfig(**_LLAMA),
    "qwen2": lambda: transformers.Qwen2Config(**_LLAMA),
    "qwen3": lambda: transformers.Qwen3Config(**_LLAMA, head_dim=8),
    "mistral": lambda: transformers.MistralConfig(**_LLAMA, sliding_window=64),
    "gemma2": lambda: transformers.Gemma2Config(**_GEMMA),
    "gemma3": lambda: transformers.Gemma3TextConfig(**_GEMMA),
    "phi3": lambda: transformers.Phi3Config(**_LLAMA),
    "gpt2": lambda: transformers.GPT2Config(
        **{k: v for k, v in _USUAL.items() if k != "max_position_embeddings"}, n_positions=512
    ),
    "gpt_neox": lambda: transformers.GPTNeoXConfig(**_USUAL, intermediate_size=48),
    "opt": lambda: transformers.OPTConfig(**_USUAL, ffn_dim=48, word_embed_proj_dim=WIDTH),
    "mixtral": lambda: transformers.MixtralConfig(**_LLAMA, num_local_experts=4, num_experts_per_tok=2),
}


def model(architecture: str, seed: int = 0) -> torch.nn.Module:
    """A random float32 model, with weights large enough that its logits differ."""
    return filled(CONFIGS[architecture](), seed)


def filled(config: transformers.PreTrainedConfig, seed: int) -> torch.nn.Module:
    """A random model of any config."""
    torch.manual_seed(seed)
    made = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if weight.ndim > 1 and "norm" not in name:
                weight.normal_(0, 0.15)
    return made


def engine(architecture: str, *, template: str | None = TEMPLATE, limits: Limits | None = None):
    return engine_for(model(architecture), tokenizer(template), name=f"tiny-{architecture}", limits=limits)
