"""Settings, read once by the entry points from the environment and handed down."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


def with_slash_before(path: str) -> str:
    """A path with one slash before it and none behind; "" for the root."""
    return f"/{path.strip().strip('/')}".rstrip("/")


class Settings(BaseSettings):
    """Every setting of Promptoscope. Each can be set as `PROMPTOSCOPE_<NAME>` in the environment."""

    model_config = SettingsConfigDict(env_prefix="PROMPTOSCOPE_", extra="ignore", frozen=True)

    home: Path = Field(
        default_factory=lambda: Path.home() / ".promptoscope",
        description="Folder that holds the database, images, models, backbones and caches.",
    )
    database_url: str | None = Field(
        default=None,
        description="SQLAlchemy URL; without it an SQLite file in the home folder. "
        "PostgreSQL: postgresql+psycopg://user@host/name.",
    )
    device: str = Field(default="auto", description="Where towers run: auto, cpu, cuda or cuda:NUMBER.")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        default="auto",
        description="Arithmetic of the towers; auto takes what this device does fastest. fp32 gives the same numbers "
        "on every processor, up to rounding.",
    )
    allow_folders: bool = Field(
        default=False,
        description="Whether requests of the site may name folders of this machine as backbone or language model. "
        "The command line may always: whoever uses it owns the machine.",
    )
    executor: Literal["local", "ray"] = Field(default="local", description="What runs training jobs.")
    warm_worker: bool = Field(
        default=True,
        description="Whether a process that has loaded its libraries waits for the next training, so that it begins at "
        "once. It holds some hundred megabytes and is not kept where memory is short.",
    )
    root_path: str = Field(
        default="",
        description="Path below which a proxy shows the site, such as /promptoscope; without it the server's root.",
    )
    llm_base_url: str | None = Field(
        default=None,
        description="OpenAI-compatible endpoint that writes class descriptions, up to and without /chat/completions, "
        "such as http://127.0.0.1:11434/v1. It is sent class names, kind of image and wishes, never images.",
    )
    llm_api_key: str | None = Field(default=None, description="Key for that endpoint.", repr=False)
    llm_model: str | None = Field(default=None, description="Model name at that endpoint.")
    llm_allow_http: bool = Field(
        default=False,
        description="Whether an address of another network may be called without encryption; on this machine and in "
        "private networks it always may.",
    )
    llm_temperature: float = Field(
        default=0.7, ge=0, le=2, description="How freely a language model writes; 0 takes the likeliest word each time."
    )
    llm_answer_tokens: int = Field(
        default=4000, ge=1, le=1_000_000, description="Longest answer about one class, in tokens."
    )
    llm_timeout_s: float = Field(default=120, gt=0, le=3600, description="How long one answer may take, in seconds.")
    llm_at_once: int = Field(default=2, ge=1, le=64, description="Requests to the endpoint that run at once.")
    llm_max_requests: int = Field(
        default=500, ge=1, le=1_000_000, description="Requests for one writing task at most, repeated ones included."
    )
    llm_max_tokens: int = Field(
        default=2_000_000, ge=1, le=10**12, description="Tokens for one writing task at most, sent and received."
    )
    llm_max_cost: float | None = Field(
        default=None, gt=0, description="Cost of one writing task at most, in the money of the prices; needs them."
    )
    llm_price_in: float = Field(default=0, ge=0, description="Price of a million tokens sent to the endpoint.")
    llm_price_out: float = Field(default=0, ge=0, description="Price of a million tokens it answers with.")

    @field_validator("root_path")
    @classmethod
    def _with_slash_before(cls, value: str) -> str:
        return with_slash_before(value)

    @property
    def database(self) -> str:
        """The database URL in force."""
        return self.database_url or f"sqlite:///{(self.home / 'promptoscope.db').as_posix()}"

    @property
    def images_dir(self) -> Path:
        """Content-addressed image files."""
        return self.home / "images"

    @property
    def models_dir(self) -> Path:
        """Trained model folders."""
        return self.home / "models"

    @property
    def backbones_dir(self) -> Path:
        """Backbone folders written by `backbones fetch`."""
        return self.home / "backbones"

    @property
    def cache_dir(self) -> Path:
        """Features and maps that can be computed again."""
        return self.home / "cache"

    @property
    def signatures_path(self) -> Path:
        """What was found out about images by decoding them."""
        return self.cache_dir / "signatures.sqlite"

    @property
    def unpacked_dir(self) -> Path:
        """Images of archives while a command works on them; emptied after it, or at the next start."""
        return self.cache_dir / "unpacked"

    @property
    def jobs_dir(self) -> Path:
        """Checkpoints and logs of jobs."""
        return self.home / "jobs"

    @property
    def experiments_dir(self) -> Path:
        """Checkpoints of unfinished cells of experiments."""
        return self.home / "experiments"
