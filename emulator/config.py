"""The emulator's configuration file: the endpoints, and the workers behind them."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from emulator import faults
from emulator.rules import Rules
from emulator.scaler import Bounds


class ConfigError(Exception):
    """The configuration cannot be used. The message is one line that names the place."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _one_of(known: Collection[str]) -> AfterValidator:
    def check(name: str) -> str:
        if name not in known:
            raise ValueError(f"there is no fault {name!r}; there are: {', '.join(known)}")
        return name

    return AfterValidator(check)


class FaultsTable(_Table):
    """`[endpoints.NAME.faults]`: what goes wrong by chance, by the names in `faults.names`."""

    seed: int
    rate: float = Field(0.1, ge=0, le=1)
    exchanges: dict[str, list[Annotated[str, _one_of(faults.EXCHANGES)]]] = {}
    """By route: `run`, `status`, `cancel`, …, and the workers' `job-take`, `job-done`, …."""
    jobs: list[Annotated[str, _one_of(faults.JOBS)]] = []
    most: int | None = None

    def schedule(self) -> faults.Schedule:
        """Return the schedule that the table describes."""
        exchanges = {
            route: [faults.EXCHANGES[name] for name in names]
            for route, names in self.exchanges.items()
        }
        return faults.Seeded(
            self.seed,
            exchanges,
            [faults.JOBS[name] for name in self.jobs],
            rate=self.rate,
            most=self.most,
        )


class EndpointTable(_Table):
    """`[endpoints.NAME]`: a role and how many workers it has."""

    module: str | None = None
    """Run as `python -m module`. Without one, whoever comes to take jobs is a worker."""
    environment: dict[str, str] = {}
    """For its workers. `{emulator}` becomes the emulator's address, `{api_key}` a valid key."""
    min_workers: int = Field(0, ge=0)
    max_workers: int = Field(1, ge=1)
    jobs_per_worker: int = Field(1, ge=1)
    idle_timeout_s: float = Field(5.0, ge=0)
    faults: FaultsTable | None = None

    @model_validator(mode="after")
    def _ordered(self) -> EndpointTable:
        if self.min_workers > self.max_workers:
            raise ValueError(
                f"min_workers {self.min_workers} is more than max_workers {self.max_workers}"
            )
        return self

    @property
    def bounds(self) -> Bounds:
        """How the endpoint scales."""
        return Bounds(self.min_workers, self.max_workers, self.jobs_per_worker, self.idle_timeout_s)


class TryTable(_Table):
    """`[try]`: the endpoint and the recording in the `curl` that is printed."""

    endpoint: str
    recording: str


def _known_rules(given: Any) -> Any:
    unknown = (
        set(given) - {field.name for field in dataclasses.fields(Rules)}
        if isinstance(given, dict)
        else None
    )
    if unknown:
        raise ValueError(f"there is no rule {', '.join(sorted(unknown))}")
    return given


class Config(_Table):
    """The whole file."""

    endpoints: dict[str, EndpointTable] = Field(min_length=1)
    rules: Annotated[Rules, BeforeValidator(_known_rules)] = Field(default_factory=Rules)
    attempt: TryTable | None = Field(None, alias="try")

    @model_validator(mode="after")
    def _known_endpoint(self) -> Config:
        if self.attempt and self.attempt.endpoint not in self.endpoints:
            raise ValueError(f"try.endpoint: there is no endpoint {self.attempt.endpoint!r}")
        return self


def read(path: Path) -> Config:
    """Read a configuration file. Raises ConfigError."""
    try:
        return Config.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
