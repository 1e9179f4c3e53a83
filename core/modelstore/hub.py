"""The Hugging Face hub: downloads, and what its refusals mean."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.errors import ModelAccessDenied, ModelNotFound
from core.modelstore.kinds import Kind
from core.modelstore.marker import SUM_LENGTH, is_file


class Absent(Exception):
    """The hub does not give a model; the text completes `cannot be fetched from …`."""


@dataclass(frozen=True, slots=True)
class About:
    """A revision of a model."""

    revision: str
    """The commit."""
    names: tuple[str, ...]
    """All its files."""


@dataclass(frozen=True, slots=True)
class Download:
    """A whole file that lies beside the place where it belongs."""

    part: Path
    place: Path


@dataclass(frozen=True, slots=True)
class Hub:
    """The hub as one account sees it."""

    url: str | None
    """None is the Hugging Face library's own."""
    token: str | None

    def ask(self, model_id: str, revision: str | None) -> About:
        """Ask for the commit and the files of a revision; raises Absent, ModelAccessDenied."""
        from huggingface_hub import HfApi

        with self._explained(model_id):
            about = HfApi(endpoint=self.url, token=self._token).model_info(
                model_id, revision=revision
            )
        return About(str(about.sha), tuple(file.rfilename for file in about.siblings or ()))

    def into_cache(self, model_id: str, revision: str | None, kind: Kind, cache: Path) -> Path:
        """Download a revision of a model into a cache of Hugging Face's layout; return its folder.

        Raises Absent, ModelAccessDenied.
        """
        from huggingface_hub import snapshot_download

        with self._explained(model_id):
            folder = snapshot_download(
                model_id,
                revision=revision,
                allow_patterns=list(kind.patterns),
                token=self._token,
                cache_dir=cache,
                endpoint=self.url,
            )
        return Path(folder)

    def beside(
        self, model_id: str, names: tuple[str, ...], folder: Path, revision: str
    ) -> tuple[Download, ...]:
        """Download what a folder does not hold yet, each file beside its place.

        No file that is there changes. A file that an earlier run began is resumed inside; the
        Hugging Face library's own downloads begin it anew in a new process. Raises Absent,
        ModelAccessDenied, ModelNotFound.
        """
        with self._explained(model_id):
            if not all(_is_inside(folder, name) for name in names):
                raise ModelNotFound(f"{model_id} names a file outside of its folder")
            found = [self._beside(model_id, name, folder / name, revision) for name in names]
        return tuple(download for download in found if download)

    def _beside(self, model_id: str, name: str, place: Path, revision: str) -> Download | None:
        from huggingface_hub import get_hf_file_metadata, hf_hub_url

        url = hf_hub_url(model_id, name, revision=revision, endpoint=self.url)
        about = get_hf_file_metadata(url, token=self._token, endpoint=self.url)
        if is_file(place, about.etag):
            return None
        part = place.with_name(f".{place.name}.{about.etag}.part")
        part.parent.mkdir(parents=True, exist_ok=True)
        self._append(url, part, about.size)
        if len(about.etag or "") == SUM_LENGTH and not is_file(part, about.etag):
            part.unlink()
            raise ModelNotFound(f"{model_id}: {name} was damaged on its way; try again")
        return Download(part, place)

    def _append(self, url: str, part: Path, size: int | None) -> None:
        """Download what a file does not hold yet."""
        from huggingface_hub.file_download import http_get
        from huggingface_hub.utils import build_hf_headers

        headers = build_hf_headers(token=self._token)
        with part.open("ab") as file:
            http_get(url, file, resume_size=file.tell(), headers=headers, expected_size=size)

    @property
    def _token(self) -> str | bool:
        """The token, or False: None would send a token that the library finds on this machine."""
        return self.token or False

    @contextlib.contextmanager
    def _explained(self, model_id: str) -> Iterator[None]:
        """Silence the Hugging Face library and translate its errors."""
        from huggingface_hub.errors import (
            GatedRepoError,
            HfHubHTTPError,
            HFValidationError,
            RevisionNotFoundError,
        )

        _silence()
        try:
            yield
        except GatedRepoError:
            raise ModelAccessDenied(self._gated(model_id)) from None
        except RevisionNotFoundError:
            raise Absent("the hub, which has no such revision of it") from None
        except HfHubHTTPError as error:
            raise self._refused(model_id, error.response.status_code) from None
        except HFValidationError:
            raise Absent("the hub, which has no ids of this form") from None
        except OSError as error:
            raise _failed(model_id, error) from None
        except Exception as error:
            if not type(error).__module__.startswith(("httpx", "httpcore")):
                raise
            raise _unreachable(error) from None

    def _gated(self, model_id: str) -> str:
        accept = f"accept its conditions on its page ({model_id} on Hugging Face)"
        if self.token is None:
            account = "set HUGGINGFACE_ACCESS_TOKEN to a token of that account"
            return f"{model_id} is gated: {accept} and {account}"
        account = "the account of HUGGINGFACE_ACCESS_TOKEN has no access"
        return f"{model_id} is gated and {account}: {accept} with that account"

    def _refused(self, model_id: str, status: int) -> Absent | ModelAccessDenied:
        if status in {401, 403} and self.token is None:
            return ModelAccessDenied(
                f"the Hugging Face hub does not show {model_id} without a token: check the id, "
                "or set HUGGINGFACE_ACCESS_TOKEN"
            )
        if status in {401, 403}:
            return ModelAccessDenied(
                f"the Hugging Face hub refused HUGGINGFACE_ACCESS_TOKEN for {model_id}: check "
                "that the token is valid and may read it"
            )
        if status == 404:
            return Absent("the hub, which does not know the id or hides it from this token")
        return Absent(f"the hub, which answered {status}")


def _is_inside(folder: Path, name: str) -> bool:
    return (folder / name).resolve().is_relative_to(folder.resolve())


def _silence() -> None:
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    for name in ("httpx", "httpx2"):  # they log signed download URLs
        logging.getLogger(name).setLevel(logging.WARNING)


def _failed(model_id: str, error: OSError) -> Absent | ModelNotFound:
    if error.errno is None or isinstance(error, ConnectionError | TimeoutError):
        return _unreachable(error.__cause__ or error)
    return ModelNotFound(f"{model_id} cannot be written to this machine's disk ({error.strerror})")


def _unreachable(cause: BaseException) -> Absent:
    return Absent(f"the hub, which could not be reached ({type(cause).__name__})")
