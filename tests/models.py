"""Tiny models of the real classes with random weights: they hear nonsense, but load, run and answer
as the large ones do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

PIECES = 64
"""Tokens in the vocabulary of the speech models."""


def speech_model(kind: str, folder: Path, sample_rate: int = 16_000) -> Path:
    """Build a NeMo model of the kind `tdt`, `tdt_ctc`, `rnnt` or `ctc`, and save it as
    `<kind>.nemo`.
    """
    import torch
    from nemo.collections.asr.models import (
        EncDecCTCModelBPE,
        EncDecHybridRNNTCTCBPEModel,
        EncDecRNNTBPEModel,
    )
    from omegaconf import OmegaConf

    tokenizer = train_tokenizer(folder / "tokenizer", PIECES)
    torch.manual_seed(0)
    kinds = {
        "tdt": EncDecRNNTBPEModel,
        "tdt_ctc": EncDecHybridRNNTCTCBPEModel,
        "rnnt": EncDecRNNTBPEModel,
        "ctc": EncDecCTCModelBPE,
    }
    config = speech_config(
        kind, tokenizer, width=32, layers=1, heads=2, channels=16, features=80, predictor=32
    )
    config["sample_rate"] = config["preprocessor"]["sample_rate"] = sample_rate
    model = kinds[kind](OmegaConf.create(config))
    # The first token that is no blank is likely everywhere, so that something is said.
    (model.decoder.decoder_layers if kind == "ctc" else model.joint.joint_net)[-1].bias.data[1] += 5
    path = folder / f"{kind}.nemo"
    model.save_to(str(path))
    return path


def parakeet_tdt_0_6b_v2(folder: Path) -> Path:
    """FastConformer XL with a TDT decoder, random weights.

    The sizes are the row «XLarge» of NeMo's
    `examples/asr/conf/fastconformer/fast-conformer_transducer_bpe.yaml`; 128 mel features, the
    durations 0 to 4 and 1024 tokens are those of the model card.
    """
    import torch
    from nemo.collections.asr.models import EncDecRNNTBPEModel
    from omegaconf import OmegaConf

    tokenizer = train_tokenizer(folder / "tokenizer", 1024)
    config = speech_config(
        "tdt", tokenizer, width=1024, layers=24, heads=8, channels=256, features=128, predictor=640
    )
    torch.manual_seed(0)
    model = EncDecRNNTBPEModel(OmegaConf.create(config))
    assert abs(sum(each.numel() for each in model.parameters()) / 616e6 - 1) < 0.01
    path = folder / "parakeet-tdt-0.6b-v2.nemo"
    model.save_to(str(path))
    return path


def train_tokenizer(folder: Path, pieces: int) -> Path:
    """Train a sentencepiece tokenizer on the words of the embedded model and lay it out as NeMo
    wants it.
    """
    import sentencepiece

    folder.mkdir(parents=True, exist_ok=True)
    text = Path(__file__).parents[1] / "training" / "vocabulary.txt"
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(folder / "tokenizer"), vocab_size=pieces,
        model_type="bpe", character_coverage=0.98,
        bos_id=-1, eos_id=-1, pad_id=-1, unk_id=0, minloglevel=2,
    )  # fmt: skip
    processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    tokens = (processor.id_to_piece(index) for index in range(1, len(processor)))
    (folder / "vocab.txt").write_text(
        "\n".join(token[1:] if token.startswith("▁") else f"##{token}" for token in tokens)
    )
    return folder


def speech_config(
    kind: str,
    tokenizer: Path,
    *,
    width: int,
    layers: int,
    heads: int,
    channels: int,
    features: int,
    predictor: int,
) -> dict[str, Any]:
    """A FastConformer configuration as in NeMo's `examples/asr/conf/fastconformer`, without what
    only training needs.
    """
    modules = "nemo.collections.asr.modules"
    durations = list(range(5))
    config: dict[str, Any] = {
        "sample_rate": 16_000,
        "log_prediction": False,
        "model_defaults": {"enc_hidden": width, "pred_hidden": predictor,
        "joint_hidden": predictor},
        "tokenizer": {"dir": str(tokenizer), "type": "bpe"},
        "preprocessor": {
            "_target_": f"{modules}.AudioToMelSpectrogramPreprocessor", "sample_rate": 16_000,
            "normalize": "per_feature",
            "window_size": 0.025, "window_stride": 0.01, "window": "hann", "features": features,
            "n_fft": 512, "frame_splicing": 1,
            "dither": 1e-5, "pad_to": 0,
        },
        "encoder": {
            "_target_": f"{modules}.ConformerEncoder", "feat_in": features, "feat_out": -1,
            "n_layers": layers, "d_model": width,
            "use_bias": False, "subsampling": "dw_striding", "subsampling_factor": 8,
            "subsampling_conv_channels": channels,
            "causal_downsampling": False, "ff_expansion_factor": 4,
            "self_attention_model": "rel_pos", "n_heads": heads,
            "att_context_size": [-1, -1], "xscaling": False, "untie_biases": True,
            "pos_emb_max_len": 5000, "conv_kernel_size": 9,
            "conv_norm_type": "batch_norm", "dropout": 0.0, "dropout_pre_encoder": 0.0,
            "dropout_emb": 0.0, "dropout_att": 0.0,
        },
        "decoding": {"strategy": "greedy_batch", "greedy": {"max_symbols": 10}},
        "optim": None,
    }  # fmt: skip
    by_ctc = {
        "decoder": {
            "_target_": f"{modules}.ConvASRDecoder",
            "feat_in": width,
            "num_classes": -1,
            "vocabulary": [],
        },
        "decoding": {"strategy": "greedy_batch"},
    }
    if kind == "ctc":
        return config | by_ctc
    config["decoder"] = {
        "_target_": f"{modules}.RNNTDecoder", "normalization_mode": None,
        "random_state_sampling": False, "blank_as_pad": True,
        "prednet": {"pred_hidden": predictor, "pred_rnn_layers": 2, "t_max": None, "dropout": 0.0},
    }  # fmt: skip
    config["joint"] = {
        "_target_": f"{modules}.RNNTJoint", "log_softmax": None, "preserve_memory": False,
        "fuse_loss_wer": False, "fused_batch_size": -1,
        "jointnet": {"joint_hidden": predictor, "activation": "relu", "dropout": 0.0},
    }  # fmt: skip
    config["loss"] = {"loss_name": "default"}
    if kind == "tdt_ctc":
        config["aux_ctc"] = by_ctc
    if kind.startswith("tdt"):
        config["joint"]["num_extra_outputs"] = len(durations)
        config["decoding"] |= {"model_type": "tdt", "durations": durations}
        config["loss"] = {
            "loss_name": "tdt",
            "tdt_kwargs": {
                "fastemit_lambda": 0.0,
                "durations": durations,
                "sigma": 0.02,
                "omega": 0.1,
            },
        }
    return config


def community_1(folder: Path, *, heard: Any = None) -> Path:
    """Save a pipeline of community-1's sizes with random weights: segmentation-3.0's PyanNet,
    WeSpeaker's ResNet34, a PLDA from 256 to 128 dimensions, VBx clustering.

    In the samples `heard`, if they are given, all speakers of the segmentation come and go.
    """
    segmentation = segmentation_model(
        sincnet={"stride": 10},
        lstm={
            "hidden_size": 128,
            "num_layers": 4,
            "bidirectional": True,
            "monolithic": True,
            "dropout": 0.5,
        },
        linear={"hidden_size": 128, "num_layers": 2},
    )
    if heard is not None:
        stretch(segmentation, heard)
    embedding = embedding_model("WeSpeakerResNet34")
    for model, parameters in ((segmentation, 1.47e6), (embedding, 6.63e6)):
        assert abs(sum(each.numel() for each in model.parameters()) / parameters - 1) < 0.01
    assert embedding.dimension == 256
    return speaker_pipeline(folder / "pipeline", segmentation, embedding, lda_dimension=128)


def speaker_pipeline(
    folder: Path,
    segmentation: Any,
    embedding: Any,
    *,
    clustering: str = "VBxClustering",
    lda_dimension: int = 128,
) -> Path:
    """Save a pipeline folder in the layout of community-1 from two pyannote models and a random
    PLDA.
    """
    for name, model in (("segmentation", segmentation), ("embedding", embedding)):
        (folder / name).mkdir(parents=True)
        save_pyannote_model(model, folder / name)
    save_plda(folder / "plda", embedding.dimension, lda_dimension)
    (folder / "config.yaml").write_text(
        PIPELINE.format(clustering=clustering, parameters=CLUSTERINGS[clustering])
    )
    return folder


PIPELINE = """\
dependencies:
  pyannote.audio: 4.0.0
pipeline:
  name: pyannote.audio.pipelines.SpeakerDiarization
  params:
    clustering: {clustering}
    embedding: $model/embedding
    embedding_batch_size: 8
    embedding_exclude_overlap: true
    plda: $model/plda
    segmentation: $model/segmentation
    segmentation_batch_size: 8
params:
  clustering: {parameters}
  segmentation: {{min_duration_off: 0.0}}
"""
CLUSTERINGS = {
    "VBxClustering": "{threshold: 0.6, Fa: 0.07, Fb: 0.8}",
    "AgglomerativeClustering": "{method: centroid, min_cluster_size: 12, threshold: 0.7}",
}


def save_pyannote_model(model: Any, folder: Path) -> None:
    """Save a model as pyannote's hub repositories hold it: `pytorch_model.bin`."""
    import pytorch_lightning
    import torch

    checkpoint = {
        "state_dict": model.state_dict(),
        "hyper_parameters": dict(model.hparams),
        "pytorch-lightning_version": pytorch_lightning.__version__,
    }
    model.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, folder / "pytorch_model.bin")


def save_plda(folder: Path, dimension: int, lda_dimension: int) -> None:
    """Save a random PLDA: what VBx wants, from embeddings of `dimension` to `lda_dimension`."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    lda, _ = np.linalg.qr(rng.standard_normal((dimension, lda_dimension)))
    np.savez(
        folder / "xvec_transform.npz",
        mean1=np.zeros(dimension),
        mean2=np.zeros(lda_dimension),
        lda=lda,
    )
    np.savez(
        folder / "plda.npz",
        mu=np.zeros(lda_dimension),
        tr=np.eye(lda_dimension),
        psi=np.linspace(4, 0.1, lda_dimension),
    )


def segmentation_model(**parameters: Any) -> Any:
    """Build pyannote's PyanNet as segmentation-3.0 uses it: 10 s, three speakers, at most two at
    once, powerset.
    """
    import torch
    from pyannote.audio.core.task import Problem, Resolution, Specifications
    from pyannote.audio.models.segmentation import PyanNet

    torch.manual_seed(0)
    model = PyanNet(**parameters)
    model.specifications = Specifications(
        problem=Problem.MONO_LABEL_CLASSIFICATION, resolution=Resolution.FRAME, duration=10.0,
        min_duration=10.0, warm_up=(0.0, 0.0),
        classes=["speaker#1", "speaker#2", "speaker#3"], powerset_max_classes=2,
        permutation_invariant=True,
    )  # fmt: skip
    model.setup()
    return model.eval()


def stretch(model: Any, samples: Any) -> None:
    """Scale and shift the outputs of a segmentation model so that in a recording (samples,) each
    class is the likeliest now and then.

    Random weights alone say the same from beginning to end.
    """
    import torch

    heard: list[Any] = []
    hook = model.classifier.register_forward_hook(lambda *call: heard.append(call[-1]))
    with torch.no_grad():
        model(samples[: len(samples) // 160_000 * 160_000].reshape(-1, 1, 160_000))
        hook.remove()
        logits = heard[0].flatten(0, -2)
        scale = 3 / logits.std(dim=0)
        model.classifier.bias.sub_(logits.mean(dim=0)).mul_(scale)
        model.classifier.weight.mul_(scale[:, None])


def embedding_model(architecture: str, **parameters: Any) -> Any:
    """Build a speaker embedding of pyannote's: `XVectorMFCC` is small, `WeSpeakerResNet34` is
    community-1's.
    """
    import torch
    from pyannote.audio.core.task import Problem, Resolution, Specifications
    from pyannote.audio.models import embedding

    torch.manual_seed(0)
    model = getattr(embedding, architecture)(**parameters)
    model.specifications = Specifications(
        problem=Problem.REPRESENTATION,
        resolution=Resolution.CHUNK,
        duration=5.0,
        min_duration=5.0,
        classes=["one", "two"],
    )
    model.setup()
    return model.eval()
