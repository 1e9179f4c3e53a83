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
    """The hub does not give a model: `the hub, which …`."""


@dataclass(frozen=True, slots=True)
class About:
    """What the hub says of a model."""

    revision: str
    """The commit."""
    names: tuple[str, ...]
    """Its files."""


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
            about = HfApi(endpoint=self.url, token=self.token or False).model_info(
                model_id, revision=revision
            )
        return About(str(about.sha), tuple(file.rfilename for file in about.siblings or ()))

    def into_cache(self, model_id: str, kind: Kind, cache: Path) -> Path:
        """Download what the kind needs into a cache of Hugging Face's layout; raises Absent,
        ModelAccessDenied.
        """
        from huggingface_hub import snapshot_download

        with self._explained(model_id):
            return Path(
                snapshot_download(
                    model_id,
                    allow_patterns=list(kind.patterns),
                    token=self.token or False,
                    cache_dir=cache,
                    endpoint=self.url,
                )
            )

    def into_folder(
        self, model_id: str, names: tuple[str, ...], folder: Path, revision: str
    ) -> None:
        """Download files into a folder, going on inside of the file where an earlier download
        ended.

        The Hugging Face library's own downloads begin a file anew in a new process. Raises Absent,
        ModelAccessDenied, ModelNotFound.
        """
        from huggingface_hub import get_hf_file_metadata, hf_hub_url
        from huggingface_hub.file_download import http_get
        from huggingface_hub.utils import build_hf_headers

        token = self.token or False
        with self._explained(model_id):
            for name in names:
                if not (folder / name).resolve().is_relative_to(folder.resolve()):
                    raise ModelNotFound(f"{model_id} names a file outside of its folder")
                url = hf_hub_url(model_id, name, revision=revision, endpoint=self.url)
                about = get_hf_file_metadata(url, token=token, endpoint=self.url)
                if is_file(folder / name, about.etag):
                    continue
                part = folder / f".{about.etag}.part"
                with part.open("ab") as file:
                    http_get(
                        url,
                        file,
                        resume_size=file.tell(),
                        headers=build_hf_headers(token=token),
                        expected_size=about.size,
                    )
                if len(about.etag or "") == SUM_LENGTH and not is_file(part, about.etag):
                    part.unlink()
                    raise ModelNotFound(f"{model_id}: {name} was damaged on its way; try again")
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                part.replace(folder / name)

    @contextlib.contextmanager
    def _explained(self, model_id: str) -> Iterator[None]:
        """Quiet, and with its failures in words.

        Where we have no token `False` keeps any other of this machine from being sent.
        """
        from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RevisionNotFoundError
        from huggingface_hub.utils.tqdm import disable_progress_bars

        disable_progress_bars()
        for name in ("httpx", "httpx2"):
            logging.getLogger(name).setLevel(
                logging.WARNING
            )  # else signed download URLs are logged
        try:
            yield
        except GatedRepoError:
            raise ModelAccessDenied(self._gated(model_id)) from None
        except RevisionNotFoundError:
            raise Absent("the hub, which has no such revision of it") from None
        except HfHubHTTPError as error:
            raise self._refused(model_id, error.response.status_code) from None
        except OSError as error:
            if error.errno is not None and not isinstance(error, ConnectionError | TimeoutError):
                raise ModelNotFound(
                    f"{model_id} cannot be written to this machine's disk ({error.strerror})"
                ) from None
            raise Absent(_unreachable(error.__cause__ or error)) from None
        except Exception as error:
            if not type(error).__module__.startswith(("httpx", "httpcore")):
                raise
            raise Absent(_unreachable(error)) from None

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


def _unreachable(cause: BaseException) -> str:
    return f"the hub, which could not be reached ({type(cause).__name__})"
