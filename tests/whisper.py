"""Whisper models for CTranslate2 whose words are chosen beforehand.

Whatever they hear, they say one sentence. All else is real: the files, the network, the search, the
prompt, the tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

WIDTH = 64
"""Numbers per position; also the positions that the network tells apart."""
LANGUAGES = ("en", "de", "fr", "jw", "zh")
TEXT_TOKENS = 50_257
"""As many as Whisper's multilingual vocabulary has."""
PROMPT = {True: 4, False: 2}
"""Tokens before the text: start, language, task, no times; or start, no times."""


def scripted(
    folder: Path,
    sentence: Sequence[str],
    *,
    language: str = "de",
    multilingual: bool = True,
    certainty: float = 0.9,
) -> Path:
    """Save a model that says these pieces of text, each of this probability, in this language."""
    import torch
    from ctranslate2.converters.transformers import WhisperLoader

    tokens = _vocabulary(sentence, multilingual=multilingual)
    ids = {token: index for index, token in enumerate(tokens)}
    with torch.no_grad():
        model = _network(len(tokens))
        script = _script(sentence, language, ids, multilingual=multilingual)
        model.proj_out.weight = torch.nn.Parameter(
            _projection(script, len(tokens), certainty), requires_grad=False
        )
        spec = WhisperLoader().get_model_spec(model)
    spec.register_vocabulary(tokens)
    spec.config.lang_ids = [ids[f"<|{name}|>"] for name in LANGUAGES]
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = [ids["<|endoftext|>"]]
    spec.config.alignment_heads = [(0, 0), (0, 1)]
    spec.validate()
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    _tokenizer(tokens).save(str(folder / "tokenizer.json"))
    return folder


def _vocabulary(sentence: Sequence[str], *, multilingual: bool) -> list[str]:
    text = list(dict.fromkeys([_bytes(piece) for piece in sentence]))
    text += [f"filler{index}" for index in range(TEXT_TOKENS - 1 - len(text))]
    text += [""] if multilingual else []  # by which CTranslate2 knows it
    languages = [f"<|{name}|>" for name in LANGUAGES]
    languages += [f"<|x{index}|>" for index in range(99 - len(languages))]
    special = ("translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps")
    return [
        *text,
        "<|endoftext|>",
        "<|startoftranscript|>",
        *languages,
        *(f"<|{name}|>" for name in special),
        *(f"<|{step * 0.02:.2f}|>" for step in range(1501)),
    ]


def _bytes(piece: str) -> str:
    """Return a piece of text as byte-level tokenizers write it."""
    from tokenizers.pre_tokenizers import ByteLevel

    return "".join(part for part, _ in ByteLevel(add_prefix_space=False).pre_tokenize_str(piece))


def _tokenizer(tokens: Sequence[str]) -> Any:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    ids = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="filler0"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = [token for token in tokens if token.startswith("<|")]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in special])
    return tokenizer


def _script(
    sentence: Sequence[str], language: str, ids: dict[str, int], *, multilingual: bool
) -> list[int]:
    """Return the likeliest token after each position."""
    script = [ids[f"<|{language}|>"]] + [ids["<|endoftext|>"]] * (WIDTH - 1)
    first = PROMPT[multilingual] - 1
    for index, piece in enumerate(sentence):
        script[first + index] = ids[_bytes(piece)]
    return script


def _projection(script: Sequence[int], tokens: int, certainty: float) -> Any:
    """Return the weights that make each position's token as likely as wanted."""
    import math

    import torch

    logit = math.log(certainty / (1 - certainty) * tokens)
    peak = (WIDTH - 1) / math.sqrt(WIDTH - 1)  # a one-hot vector after its normalisation
    weight = torch.zeros(tokens, WIDTH)
    for position, token in enumerate(script):
        others = (script.count(token) - 1) / (WIDTH - 1)  # these positions count against this one
        weight[token, position] = logit / peak / (1 - others)
    return weight


def _network(tokens: int) -> Any:
    """Return a network whose decoder sees its position and nothing else."""
    import torch
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    torch.manual_seed(0)
    model = WhisperForConditionalGeneration(
        WhisperConfig(
            vocab_size=tokens, d_model=WIDTH, encoder_layers=1, decoder_layers=1,
            encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=WIDTH,
            decoder_ffn_dim=WIDTH, suppress_tokens=[], begin_suppress_tokens=[],
            pad_token_id=0, bos_token_id=0, eos_token_id=0, decoder_start_token_id=0,
        )
    ).eval()  # fmt: skip
    decoder = model.model.decoder
    decoder.embed_tokens.weight.zero_()
    decoder.embed_positions.weight.zero_()
    decoder.embed_positions.weight[:WIDTH] = 10 * torch.eye(WIDTH)
    for layer in decoder.layers:
        for last in (layer.self_attn.out_proj, layer.encoder_attn.out_proj, layer.fc2):
            last.weight.zero_()
            last.bias.zero_()
    return model
