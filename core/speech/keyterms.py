"""Key terms for a TDT or RNNT model: NeMo's phrase boosting, with terms for each utterance.

The tokens of a term become likelier one after the other (GPU-PB, arXiv 2508.07014). Whether a token
comes at all stays the model's decision: terms only change which one it is. An utterance with terms
is decoded a second time, from the same encoding, and `core.speech.terms_heard` says which of them
count.

What NeMo 3.0.0 offers for this loses the durations of tokens (`Hypothesis.merge_`), so the terms
are handed to the decoder itself.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from core.speech.abilities import is_writable

Terms = tuple[str, ...]

CONTEXT_SCORE = 1.0
DEPTH_SCALING = 2.0
"""How much likelier the first token of a term becomes, and how much more so those after it: NeMo's
own values for TDT.
"""
ALPHA = 4.0
"""The factor on both. NeMo has 1, and takes what comes of it: see `python -m bench.keyterms`."""
_KEPT_TREES = 16
"""A job asks for its terms again with each of its batches."""


def of(model: Any) -> KeyTerms | None:
    """Return what hands terms to a NeMo model's decoder; None if that cannot favour any.

    It must be a label-looping one, of a TDT or RNNT model, and its letters must be those of one
    tokenizer.
    """
    computer = getattr(model.decoding.decoding, "decoding_computer", None)
    has_one_tokenizer = not hasattr(model.tokenizer, "tokenizers_dict")
    can = hasattr(computer, "biasing_multi_model") and has_one_tokenizer
    return KeyTerms(model) if can else None


class KeyTerms:
    """Hands terms to the decoder of a model that supports them. Only one thread may call it."""

    def __init__(self, model: Any) -> None:
        self._tokenizer = model.tokenizer
        self._decoding = model.decoding
        self._greedy = model.decoding.decoding
        pieces = self._tokenizer.ids_to_tokens(list(range(self._tokenizer.vocab_size)))
        self.letters = frozenset(letter for piece in pieces if piece != "<unk>" for letter in piece)
        """The characters that the model can write."""
        self._trees: OrderedDict[Terms, Any] = OrderedDict()
        self._forest: Any = None

    def both(
        self, transcribe: Callable[[], Sequence[Any]], terms: Sequence[Terms]
    ) -> tuple[Sequence[Any], dict[int, Any]]:
        """Return the hypotheses of a batch, and beside them those with terms, by their index.

        `terms` are those of each utterance. `transcribe` decodes the batch as ever.
        """
        rows = [index for index, own in enumerate(terms) if self._tree(own) is not None]
        if not rows:
            return transcribe(), {}
        with self._overheard() as encoded:
            plain = transcribe()
        output, lengths = encoded
        with self._favoured([terms[index] for index in rows]):
            found = self._decoding.rnnt_decoder_predictions_tensor(
                output[rows], lengths[rows], return_hypotheses=True
            )
        return plain, dict(zip(rows, found, strict=True))

    @contextlib.contextmanager
    def _overheard(self) -> Iterator[list[Any]]:
        """Keep what the decoder is given: the encoding of a batch, and the lengths in it."""
        decode = self._decoding.rnnt_decoder_predictions_tensor
        given: list[Any] = []

        def overhear(encoder_output: Any, encoded_lengths: Any, *args: Any, **more: Any) -> Any:
            given[:] = encoder_output, encoded_lengths
            return decode(encoder_output, encoded_lengths, *args, **more)

        self._decoding.rnnt_decoder_predictions_tensor = overhear
        try:
            yield given
        finally:
            del self._decoding.rnnt_decoder_predictions_tensor

    @contextlib.contextmanager
    def _favoured(self, terms: Sequence[Terms]) -> Iterator[None]:
        """Favour terms in one batch: the first are for its first utterance, and so on."""
        computer = self._greedy.decoding_computer
        forest = self._grown(computer)
        ids = {own: forest.add_model(self._tree(own), ALPHA) for own in dict.fromkeys(terms)}
        told = _WithTerms(computer, [ids[own] for own in terms])
        graphs = computer.cuda_graphs_mode
        # Graphs that were captured without terms stay valid for batches that have none.
        computer.biasing_multi_model, computer.cuda_graphs_mode = forest, None
        self._greedy.decoding_computer = told
        try:
            yield
        finally:
            self._greedy.decoding_computer = computer
            computer.biasing_multi_model, computer.cuda_graphs_mode = None, graphs
            for one in ids.values():
                forest.remove_model(one)

    def _grown(self, computer: Any) -> Any:
        """Return what holds the trees of a batch."""
        if self._forest is None:
            from nemo.collections.asr.parts.context_biasing.biasing_multi_model import (
                GPUBiasingMultiModel,
            )

            class Forest(GPUBiasingMultiModel):  # type: ignore[misc]
                """Room for the terms of some jobs; it grows."""

                INIT_NUM_ARCS, INIT_NUM_STATES, INIT_NUM_MODELS = 65_536, 16_384, 16

            self._forest = Forest(vocab_size=computer._blank_index)
        return self._forest

    def _tree(self, terms: Terms) -> Any:
        """Return the tree of a job's terms; None if it has none that the model can write."""
        if terms not in self._trees:
            self._trees[terms] = self._planted(terms)
        self._trees.move_to_end(terms)
        while len(self._trees) > _KEPT_TREES:
            self._trees.popitem(last=False)
        return self._trees[terms]

    def _planted(self, terms: Terms) -> Any:
        from nemo.collections.asr.parts.context_biasing.boosting_graph_batched import (
            ContextGraph,
            GPUBoostingTreeModel,
        )

        spelled = dict.fromkeys(one for term in terms for one in _spellings(term))
        tokens = [
            self._tokenizer.text_to_ids(one) for one in spelled if is_writable(one, self.letters)
        ]
        if not tokens:
            return None
        graph = ContextGraph(context_score=CONTEXT_SCORE, depth_scaling=DEPTH_SCALING)
        graph.build(token_ids=tokens)
        return GPUBoostingTreeModel.from_context_graph(
            graph, vocab_size=self._tokenizer.vocab_size, uniform_weights=False
        )


def _spellings(term: str) -> tuple[str, str]:
    """Return a term as given, and as it begins a sentence."""
    return term, term[:1].upper() + term[1:]


class _WithTerms:
    """A label-looping decoder that is told which terms each utterance has."""

    def __init__(self, computer: Any, ids: Sequence[int]) -> None:
        self._computer = computer
        self._ids = ids

    def __getattr__(self, name: str) -> Any:
        return getattr(self._computer, name)

    def __call__(self, x: Any, out_len: Any, **more: Any) -> Any:
        """Decode, each utterance with its own terms."""
        import torch

        ids = torch.tensor(self._ids, dtype=torch.long, device=x.device)
        return self._computer(x=x, out_len=out_len, **more | {"multi_biasing_ids": ids})
