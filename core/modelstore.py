"""From a model's id to files on this machine. The places, in the order in which they are asked:

1. `embedded`: the small models that ship with this project;
2. a file or folder, when the id is a path;
3. the platform's model cache: `/runpod-volume/huggingface-cache/hub/models--<org>--<name>` (its layout is Hugging Face's cache);
4. the image: a folder `/models/<org>--<name>` that holds a copy of the model's repository;
5. the Hugging Face cache of this machine;
6. the Hugging Face hub, with the token if there is one.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, TypeGuard

from core.errors import ModelAccessDenied, ModelNotFound

EMBEDDED = "embedded"
"""The id of the models that ship with this project."""
COMMUNITY_1 = "pyannote/speaker-diarization-community-1"

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")

log = logging.getLogger("parakeet.modelstore")


@dataclass(frozen=True, slots=True)
class Places:
    """Where models are looked for."""

    embedded: Path = Path(__file__).resolve().parents[1] / "models" / "embedded"
    """Holds `speech.nemo` and `diarization/`."""
    platform_cache: Path = Path("/runpod-volume/huggingface-cache/hub")
    image: Path = Path("/models")
    """Holds one folder `<org>--<name>` per model that is baked into the image."""
    hub_cache: Path | None = None
    """None is the Hugging Face library's own, which `HF_HOME` moves."""
    hub: str | None = None
    """URL of the hub; None is the Hugging Face library's own, which `HF_ENDPOINT` moves."""


@dataclass(frozen=True, slots=True)
class PipelinePart:
    """A model that a speaker pipeline's configuration wants from somewhere else."""

    name: str
    """`segmentation`, `embedding` or `plda`: the parameter of the pipeline."""
    folder: Path


@dataclass(frozen=True, slots=True)
class ModelLocation:
    """A model on this machine."""

    path: Path
    """Speech: the `.nemo` file; speakers: the folder of `config.yaml`."""
    origin: str
    """Which place it comes from, in words for the log."""
    parts: tuple[PipelinePart, ...] = field(default=())


def find_speech_model(model_id: str, *, token: str | None = None, places: Places | None = None) -> ModelLocation:
    """Find the `.nemo` file of a model; what only the hub has is downloaded.

    Raises ModelNotFound where no place has it, ModelAccessDenied where the hub has it and does not give it.
    """
    location = _Search(_Speech(), token, places or Places()).find(model_id)
    log.info("speech model %s: %s", display_name(model_id), location.origin)
    return location


def find_diarization_model(model_id: str, *, token: str | None = None, places: Places | None = None) -> ModelLocation:
    """Find the folder of a pyannote pipeline and of the models that its configuration wants from other repositories.

    Raises ModelNotFound where no place has one of them, ModelAccessDenied where the hub has it and does not give it.
    """
    places = places or Places()
    location = _Search(_Pipeline(), token, places).find(model_id)
    parts = tuple(_outside_parts(location.path, display_name(model_id), token, places))
    log.info("speaker model %s: %s", display_name(model_id), location.origin)
    return replace(location, parts=parts)


def display_name(model_id: str) -> str:
    """The model's name for logs and messages: its id, or of a path the last part alone."""
    return Path(model_id).name if _is_path(model_id) else model_id


def _is_path(model_id: str) -> bool:
    return model_id.startswith(("/", ".", "~")) or model_id.endswith(".nemo") or Path(model_id).exists()


class _Kind(Protocol):
    """What a loader needs to find in a folder."""

    @property
    def embedded_name(self) -> str:
        """Where it lies among the embedded models."""
        ...

    @property
    def patterns(self) -> tuple[str, ...]:
        """What is fetched from the hub."""
        ...

    @property
    def needs(self) -> str:
        """What `pick` looks for, in words."""
        ...

    def pick(self, folder: Path) -> Path | None:
        """What the loader is given; None where the folder does not hold all of it."""
        ...


class _Speech:
    embedded_name = "speech.nemo"
    patterns = ("*.nemo",)
    needs = "exactly one .nemo file"

    def pick(self, folder: Path) -> Path | None:
        files = [folder] if folder.suffix == ".nemo" else sorted(folder.glob("*.nemo"))
        # A download that was cut short leaves links that lead nowhere.
        return files[0] if len(files) == 1 and files[0].is_file() else None


class _Pipeline:
    embedded_name = "diarization"
    patterns = ("*.yaml", "*.bin", "*.npz")
    needs = "config.yaml and the models it names"

    def pick(self, folder: Path) -> Path | None:
        if not (folder / "config.yaml").is_file():
            return None
        inside = [value.removeprefix("$model/") for value in _parameters(folder).values() if _is_inside(value)]
        return folder if all(_Part(name).pick(folder) for name in inside) else None


class _Part:
    embedded_name = "diarization/plda"
    needs = "pytorch_model.bin or the two .npz files of a PLDA"

    def __init__(self, subfolder: str) -> None:
        self.subfolder = subfolder
        self.patterns = tuple(f"{subfolder}/{name}" if subfolder else name for name in ("*.bin", "*.npz"))

    def pick(self, folder: Path) -> Path | None:
        folder = folder / self.subfolder
        plda = all((folder / name).is_file() for name in ("xvec_transform.npz", "plda.npz"))
        return folder if plda or (folder / "pytorch_model.bin").is_file() else None


@dataclass(frozen=True, slots=True)
class _Search:
    kind: _Kind
    token: str | None
    places: Places

    def find(self, model_id: str) -> ModelLocation:
        if model_id == EMBEDDED:
            return self._only(self.places.embedded / self.kind.embedded_name, "shipped with this project")
        if _is_path(model_id):
            return self._only(Path(model_id).expanduser(), "the path that was given")
        if not _HUB_ID.fullmatch(model_id):
            raise ModelNotFound(f"{model_id[:100]!r} is neither a path nor a Hugging Face id such as {COMMUNITY_1}")
        for origin, folder in self._folders(model_id):
            path = self.kind.pick(folder)
            if path is not None:
                return ModelLocation(path, origin)
        return self._download(model_id)

    def _only(self, path: Path, origin: str) -> ModelLocation:
        found = self.kind.pick(path)
        if found is None:
            what = "does not hold" if path.exists() else "is not there; it should hold"
            raise ModelNotFound(f"the model {display_name(str(path))} ({origin}) {what} {self.kind.needs}")
        return ModelLocation(found, origin)

    def _folders(self, model_id: str) -> Iterator[tuple[str, Path]]:
        yield from (("the platform's model cache", folder) for folder in _snapshots(self.places.platform_cache, model_id))
        yield "the image", self.places.image / model_id.replace("/", "--")
        yield from (("the Hugging Face cache", folder) for folder in _snapshots(self._hub_cache(), model_id))

    def _hub_cache(self) -> Path:
        if self.places.hub_cache is not None:
            return self.places.hub_cache
        from huggingface_hub.constants import HF_HUB_CACHE

        return Path(HF_HUB_CACHE)

    def _download(self, model_id: str) -> ModelLocation:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import GatedRepoError, HfHubHTTPError
        from huggingface_hub.utils.tqdm import disable_progress_bars

        disable_progress_bars()
        for name in ("httpx", "httpx2"):
            logging.getLogger(name).setLevel(logging.WARNING)  # else signed download URLs are logged
        try:
            folder = snapshot_download(
                model_id,
                allow_patterns=list(self.kind.patterns),
                # False: without a token of ours no other that lies about on the machine is sent.
                token=self.token or False,
                cache_dir=self._hub_cache(),
                endpoint=self.places.hub,
            )
        except GatedRepoError:
            raise ModelAccessDenied(self._gated(model_id)) from None
        except HfHubHTTPError as error:
            raise self._refused(model_id, error.response.status_code) from None
        except OSError as error:
            cause = type(error.__cause__ or error).__name__
            raise ModelNotFound(_nowhere(model_id, f"the hub, which could not be reached ({cause})")) from None
        path = self.kind.pick(Path(folder))
        if path is None:
            raise ModelNotFound(f"{model_id} on the Hugging Face hub does not hold {self.kind.needs}")
        return ModelLocation(path, "downloaded from the Hugging Face hub")

    def _gated(self, model_id: str) -> str:
        accept = f"accept its conditions on its page ({model_id} on Hugging Face)"
        if self.token is None:
            return f"{model_id} is gated: {accept} and set HUGGINGFACE_ACCESS_TOKEN to a token of that account"
        return f"{model_id} is gated and the account of HUGGINGFACE_ACCESS_TOKEN has no access: {accept} with that account"

    def _refused(self, model_id: str, status: int) -> ModelNotFound | ModelAccessDenied:
        if status in {401, 403} and self.token is None:
            return ModelAccessDenied(
                f"the Hugging Face hub does not show {model_id} without a token: check the id, or set HUGGINGFACE_ACCESS_TOKEN"
            )
        if status in {401, 403}:
            return ModelAccessDenied(
                f"the Hugging Face hub refused HUGGINGFACE_ACCESS_TOKEN for {model_id}: check that the token is valid and may read it"
            )
        if status == 404:
            return ModelNotFound(_nowhere(model_id, "the hub, which does not know the id or hides it from this token"))
        return ModelNotFound(_nowhere(model_id, f"the hub, which answered {status}"))


def _nowhere(model_id: str, hub: str) -> str:
    return f"{model_id} was found nowhere: not in the platform's model cache, the image or the Hugging Face cache, nor on {hub}"


def _snapshots(cache: Path, model_id: str) -> Iterator[Path]:
    """The folders of a model in a cache of Hugging Face's layout: the one that `refs/main` names, then from new to old."""
    repository = cache / f"models--{model_id.replace('/', '--')}"
    with contextlib.suppress(OSError):
        yield repository / "snapshots" / (repository / "refs" / "main").read_text().strip()
    with contextlib.suppress(OSError):
        yield from sorted((repository / "snapshots").iterdir(), key=lambda folder: folder.stat().st_mtime, reverse=True)


def _parameters(folder: Path) -> dict[str, object]:
    """The parameters in a pyannote pipeline's configuration."""
    import yaml  # type: ignore[import-untyped]

    try:
        config = yaml.safe_load((folder / "config.yaml").read_text())
    except yaml.YAMLError:
        return {}  # loading it says what is wrong
    parameters = config["pipeline"].get("params") if isinstance(config, dict) and isinstance(config.get("pipeline"), dict) else None
    return parameters if isinstance(parameters, dict) else {}


def _is_inside(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value.startswith("$model/")


def _outside_parts(folder: Path, pipeline: str, token: str | None, places: Places) -> Iterator[PipelinePart]:
    """Find what a configuration such as speaker-diarization-3.1's takes from other repositories.

    pyannote 4 loads a PLDA for every pipeline, from community-1's gated repository where the configuration names none, although only
    VBx clustering uses it: every other pipeline is given the one that ships with this project.
    """
    parameters = _parameters(folder)
    for name in ("segmentation", "embedding", "plda"):
        value = parameters.get(name)
        if name == "plda" and value is None and parameters.get("clustering", "VBxClustering") != "VBxClustering":
            yield PipelinePart(name, _Search(_Part(""), None, places).find(EMBEDDED).path)
        elif value is None:
            yield PipelinePart(name, _part(COMMUNITY_1, name, pipeline, token, places))
        elif isinstance(value, str) and not _is_inside(value) and not Path(value).exists():
            yield PipelinePart(name, _part(value, "", pipeline, token, places))


def _part(model_id: str, subfolder: str, pipeline: str, token: str | None, places: Places) -> Path:
    try:
        return _Search(_Part(subfolder), token, places).find(model_id).path
    except (ModelNotFound, ModelAccessDenied) as error:
        raise type(error)(
            f"the configuration of {pipeline} points at another repository: {error} ({COMMUNITY_1} is one repository that has everything)"
        ) from None
