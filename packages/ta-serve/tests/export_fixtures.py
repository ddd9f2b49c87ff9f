"""Small random models of every exported family, with tokenizers of both kinds, made on the spot."""

import json
from pathlib import Path

import torch
import transformers
from chat_templates import CHATML, WITH_BOS
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing

from ta_serve.export.pre_tokenizer import PATTERNS

TEXT = [
    "How do I list the hidden files of a folder? Use ls -a, that's what it's for.",
    "Grüße an die Shell: 5 € für 日本語 🙂, 1234567 files in 3.14 s\n\n\tdef f(x):\n        return x  + 1",
] * 4
PROBES = [
    *(
        "ls -la /var/log",
        " two  spaces ",
        "don't I'LL we've",
        "12345 1,000 ½",
        "a\n\n\nb\t\tc \n",
        "x=[1,2];# ok",
    ),
    *(
        "Grüße, 日本語 🙂👩‍💻 ñ",
        "Ελληνικά и кириллица",
        "CamelCaseWord HTTPServer",
        "",
        "   ",
        "é combining: é",
    ),
]
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|begin|>"]


def byte_level(cut: str, *, whole_words: bool = False, nfc: bool = False, bos: bool = False) -> Tokenizer:
    """A byte-level BPE tokenizer; `cut`: smollm, gpt-2, or a value of PATTERNS."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=whole_words))
    last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=cut in ("smollm", "gpt-2"))
    if cut == "smollm":
        steps = [pre_tokenizers.Digits(individual_digits=True), last]
    elif cut == "gpt-2":
        steps = [last]
    else:
        pattern = next(pattern for pattern, name in PATTERNS.items() if name == cut)
        steps = [pre_tokenizers.Split(Regex(pattern), "isolated"), last]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    tokenizer.decoder = decoders.ByteLevel()
    if nfc:
        tokenizer.normalizer = normalizers.NFC()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=380, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    tokenizer.add_tokens([AddedToken("<tool>", normalized=False)])
    if bos:
        tokenizer.post_processor = TemplateProcessing(single="<|begin|> $A", special_tokens=[("<|begin|>", 3)])
    return tokenizer


def sentence_piece(*, space_first: bool, added: str = "") -> Tokenizer:
    """A BPE tokenizer with byte fallback, as SentencePiece models become in tokenizer.json."""
    mark = normalizers.Replace(" ", "▁")
    normalizer = normalizers.Sequence([normalizers.Prepend("▁"), mark]) if space_first else mark
    trained = Tokenizer(models.BPE())
    trained.normalizer = normalizer
    trainer = trainers.BpeTrainer(vocab_size=200, show_progress=False)
    trained.train_from_iterator(TEXT, trainer)
    learnt = json.loads(trained.to_str())["model"]
    first = ["<unk>", "<s>", "</s>", *SPECIAL[1:], *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces = sorted(learnt["vocab"], key=learnt["vocab"].get)
    vocabulary = {piece: at for at, piece in enumerate([*first, *pieces])}
    merges = [tuple(merge) for merge in learnt["merges"]]
    model = models.BPE(vocab=vocabulary, merges=merges, byte_fallback=True, unk_token="<unk>", fuse_unk=True)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizer
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if space_first else steps)
    tokenizer.add_special_tokens([AddedToken(text, normalized=False) for text in first[:6]])
    if added:
        tokenizer.add_tokens([AddedToken(added, normalized=True)])
    return tokenizer


SMALL = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.3,
}
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
LONG_ROPE = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "long_factor": [1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5],
    "short_factor": [1.0, 1.02, 1.04, 1.06, 1.08, 1.1, 1.12, 1.14],
    "original_max_position_embeddings": 128,
}
FAMILIES = {
    "smollm2": ("Llama", {"tie_word_embeddings": True}, lambda: byte_level("smollm")),
    "llama3": (
        "Llama",
        {"rope_parameters": LLAMA3_ROPE},
        lambda: byte_level("llama-bpe", whole_words=True, bos=True),
    ),
    "llama-yarn": (
        "Llama",
        {"attention_bias": True, "rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 5e4}},
        lambda: byte_level("llama-bpe"),
    ),
    "mistral": ("Mistral", {"head_dim": 32, "sliding_window": None}, lambda: sentence_piece(space_first=True)),
    "mistral-nemo": ("Mistral", {"sliding_window": 128}, lambda: byte_level("tekken", whole_words=True)),
    "qwen2": ("Qwen2", {"rope_theta": 1e6}, lambda: byte_level("qwen2", nfc=True)),
    "qwen3": ("Qwen3", {"head_dim": 32, "tie_word_embeddings": True}, lambda: byte_level("qwen2", nfc=True)),
    "gemma": ("Gemma", {"head_dim": 32}, lambda: sentence_piece(space_first=False, added="▁▁▁")),
    "gemma2": (
        "Gemma2",
        {"head_dim": 32, "query_pre_attn_scalar": 32, "sliding_window": 8},
        lambda: sentence_piece(space_first=False),
    ),
    "gemma3": (
        "Gemma3Text",
        {"head_dim": 32, "query_pre_attn_scalar": 32, "sliding_window": 8, "num_hidden_layers": 4}
        | {"layer_types": ["sliding_attention"] * 3 + ["full_attention"]},
        lambda: sentence_piece(space_first=False),
    ),
    "phi3": ("Phi3", {"sliding_window": None}, lambda: sentence_piece(space_first=True)),
    "phi4": (
        "Phi3",
        {"sliding_window": None, "rope_parameters": LONG_ROPE, "tie_word_embeddings": True},
        lambda: byte_level("gpt-4o"),
    ),
}


def make_family(name: str, folder: Path, *, dtype: torch.dtype = torch.float16, **sizes: int) -> Path:
    """Save a random model of a family, its norms and biases random too, and its tokenizer."""
    kind, options, make_tokenizer = FAMILIES[name]
    tokenizer = make_tokenizer()
    bos = "<|begin|>" if tokenizer.token_to_id("<s>") is None else "<s>"
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=bos,
        eos_token="<|im_end|>",
        unk_token="<unk>" if bos == "<s>" else None,
        extra_special_tokens=["<|im_start|>"],
    )
    fast.chat_template = WITH_BOS if bos == "<s>" or name == "llama3" else CHATML
    fast.save_pretrained(folder)
    special = {"bos_token_id": fast.bos_token_id, "eos_token_id": fast.eos_token_id, "pad_token_id": None}
    settings = SMALL | special | {"vocab_size": len(fast) + 3} | options | sizes
    config = getattr(transformers, f"{kind}Config")(**settings)
    torch.manual_seed(sum(map(ord, name)))
    model = getattr(transformers, f"{kind.removesuffix('Text')}ForCausalLM")(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter) * 0.2)
    model.to(dtype).save_pretrained(folder)
    return folder
