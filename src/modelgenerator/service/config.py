"""How the service is deployed: what an operator may say, from the environment.

Comes in: environment variables, `MODELGENERATOR_PORT` or, for the few that other tools know by the
same name, plain `DATABASE_URL`.  Goes out: one frozen `ServiceConfig`.  Nowhere else is the
environment read for the service; what a training does is written in settings, not here.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo

from modelgenerator.errors import InvalidSettings

PREFIX = "MODELGENERATOR_"
PLAIN_NAMES = ("DATABASE_URL", "STORAGE_URL", "EXECUTOR", "RAY_ADDRESS")
"""Accepted without the prefix too; with it wins."""
ELSEWHERE = (
    "MODELGENERATOR_BASE_MODELS",
    "MODELGENERATOR_CACHE",
    "MODELGENERATOR_CAPTIONER_KEY",
    "MODELGENERATOR_CAPTIONER_MODEL",
    "MODELGENERATOR_CAPTIONER_URL",
    "MODELGENERATOR_PERSON_FILES",
)
"""Variables of the command line, which are not the service's."""
OF_CLIENTS = ("MODELGENERATOR_API_KEY", "MODELGENERATOR_URL")
"""Variables of those who ask a server; no job is told them."""
ExecutorName = Literal["local", "ray"]
"""Who runs jobs."""
MICRODOLLARS_PER_DOLLAR = 1_000_000


def _microdollars(written: object) -> object:
    """`"0.06"` dollars as 60_000; a number that is no text is microdollars already."""
    if not isinstance(written, str):
        return written
    try:
        amount = Decimal(written.strip().removeprefix("$")) * MICRODOLLARS_PER_DOLLAR
    except InvalidOperation:
        raise ValueError("is an amount of dollars, as 0.06") from None
    if not amount.is_finite() or amount != amount.to_integral_value():
        raise ValueError("is an amount of dollars with at most six digits after the point")
    return int(amount)


def _by_kind(written: object) -> object:
    """`L4=24,H100=80` by kind."""
    if not isinstance(written, str):
        return written
    parts = [part.partition("=") for part in written.split(",") if part.strip()]
    kinds = {kind.strip(): number.strip() for kind, _, number in parts}
    is_read = all(re.fullmatch(r"[\w.-]+", it) and kinds[it].isdigit() for it in kinds)
    if len(kinds) < len(parts) or not is_read:
        raise ValueError("is the gigabytes of each kind of GPU, as L4=24,H100=80")
    return kinds


Dollars = Annotated[int, BeforeValidator(_microdollars), Field(ge=0, le=10**15)]
"""Written in dollars, kept in microdollars."""
GigabytesByKind = Annotated[
    Mapping[str, Annotated[int, Field(ge=1, le=10_000)]],
    BeforeValidator(_by_kind),
    Field(min_length=1),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceList:
    """What each kind of work costs, in microdollars; a job keeps the list it was accepted with."""

    training_minute: int = 60_000
    picture: int = 20_000
    private_run: int = 10_000
    public_run: int = 280_000
    object_transformer: int = 10_000
    zipper: int = 10_000
    zipper_megabyte: int = 3_500
    object_generator_token: int = 25


class ServiceConfig(BaseModel):
    """One deployment of the service."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_dir: Path = Field(
        Path("modelgenerator-data"),
        description="Folder of everything that is kept on this machine; made if it is not there.",
    )
    database_url: str = Field(
        default_factory=lambda given: f"sqlite:///{given['data_dir']}/modelgenerator.sqlite",
        description="Where records are kept: `sqlite:///FILE` or `postgresql://USER@HOST/NAME`.",
        examples=["a SQLite file in DATA_DIR"],
    )
    storage_url: str = Field(
        default_factory=lambda given: f"{given['data_dir']}/files",
        description="Where pictures and weights are kept: a folder, or `s3://BUCKET/PREFIX` with "
        "the usual `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_REGION`.",
        examples=["a folder in DATA_DIR"],
    )
    storage_endpoint: str | None = Field(
        None, description="Address of an S3-compatible server; absent: Amazon's."
    )
    secret_key: SecretStr | None = Field(
        None,
        min_length=32,
        description="Signs links and sessions. Absent: made once and kept in DATA_DIR. The same "
        "for all servers of one database.",
    )

    host: str = Field("127.0.0.1", description="Address to listen at; `0.0.0.0` for everybody.")
    port: int = Field(8080, ge=0, le=65_535, description="Port to listen at; 0 takes a free one.")
    public_url: str | None = Field(
        None, description="Address by which browsers reach the service; absent: HOST and PORT."
    )

    billing: bool = Field(
        True, description="`on` charges for work; `off` charges nothing and still shows estimates."
    )
    starting_balance: Dollars = Field(
        100 * MICRODOLLARS_PER_DOLLAR, description="Dollars that a new organization begins with."
    )
    price_training_minute: Dollars = Field(
        60_000, description="Dollars a minute of training, counted in seconds that were used."
    )
    price_picture: Dollars = Field(20_000, description="Dollars a generated picture.")
    price_private_run: Dollars = Field(10_000, description="Dollars a run of a private flow.")
    price_public_run: Dollars = Field(
        280_000, description="Dollars a run of a public flow, paid by the flow's organization."
    )
    price_object_transformer: Dollars = Field(
        10_000, description="Dollars an ObjectTransformer step."
    )
    price_zipper: Dollars = Field(10_000, description="Dollars a Zipper step, beside its size.")
    price_zipper_megabyte: Dollars = Field(
        3_500, description="Dollars a megabyte (1,000,000 bytes) that a Zipper step writes."
    )
    price_object_generator_token: Dollars = Field(
        25, description="Dollars a token that an ObjectGenerator step reads or writes."
    )

    upload_files: int = Field(
        2_000, ge=1, le=10_000, description="Files in one upload, those inside archives too."
    )
    upload_file_megabytes: int = Field(
        100, ge=1, le=1_000, description="Megabytes of one uploaded photo."
    )
    dataset_pictures: int = Field(5_000, ge=1, le=100_000, description="Pictures in one dataset.")
    storage_gigabytes: int = Field(
        100,
        ge=1,
        le=1_000_000,
        description="Gigabytes that an organization's pictures and models may take together.",
    )

    requests_per_minute: int = Field(
        600,
        ge=1,
        le=1_000_000,
        description="Requests that make or change something, a minute and API key; more are "
        "answered with 429.",
    )
    queued_jobs: int = Field(
        1_000,
        ge=1,
        le=1_000_000,
        description="Jobs and runs of one organization that may wait at once.",
    )

    highest_priority: Literal["normal", "high"] = Field(
        "high",
        description="Highest priority that people may ask for. Where strangers share the machines, "
        "`normal`: a training of a high one makes others stop.",
    )
    running_jobs: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="Trainings and requests for pictures of one organization that run at once; "
        "absent: as many as there is room for.",
    )
    preempt_seconds: int = Field(
        60,
        ge=0,
        le=86_400,
        description="Seconds that work of a higher priority waits before a training of a lower one "
        "saves a checkpoint and makes room; 0: never.",
    )

    allow_download: bool = Field(
        True, description="Whether an organization may download the models it trained."
    )
    model_days: int = Field(
        30, ge=1, le=36_500, description="Days after which a trained model expires."
    )
    flow_model_days: int = Field(
        7, ge=1, le=36_500, description="Days after which a model that a flow trained expires."
    )

    executor: ExecutorName = Field(
        "local",
        description="Who runs jobs: `local`, child processes on this machine; `ray`, a Ray cluster "
        "(`pip install 'modelgenerator[ray]'`).",
    )
    ray_address: str = Field(
        "auto",
        description="Address of the cluster's head, `HOST:6379`; `auto` is the one that this "
        "machine belongs to.",
    )
    cluster_jobs: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="Trainings, or pictures in their place, that are given to the cluster at "
        "once; one more of pictures alone may be. With CLUSTER_GPUS so many for each kind. Absent: "
        "one a GPU (without GPUs, one for two CPUs), and one that waits.",
    )
    cluster_gpu_gigabytes: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="Gigabytes of memory of each of the cluster's GPUs, of the smallest where they "
        "differ; without it and CLUSTER_GPUS jobs run on its CPUs.",
    )
    cluster_gpus: GigabytesByKind | None = Field(
        None,
        description="The same by kind, as Ray calls it: `L4=24,H100=80`. A job goes to the "
        "smallest kind that it fits, and to a larger one while that is free; others are not used.",
    )
    cluster_machine_gpus: int = Field(
        1,
        ge=1,
        le=64,
        description="GPUs of one machine of the cluster. A training whose step fits no single GPU "
        "is divided among as many as it needs, up to so many.",
    )
    device_slots: int | None = Field(
        None,
        ge=1,
        le=1_024,
        description="Jobs that run at once on this machine; absent: one a GPU, or one.",
    )
    loaded_gigabytes: float | None = Field(
        None,
        ge=0,
        le=10_000,
        description="Gigabytes of base models that a process which draws keeps loaded at most; "
        "one it keeps in any case; absent: six tenths of a GPU's free memory, without a GPU a "
        "quarter of the machine's.",
    )
    lease_seconds: int = Field(
        30,
        ge=3,
        le=3_600,
        description="Seconds without a sign of life after which a job goes to another worker.",
    )
    checkpoint_seconds: int = Field(
        20,
        ge=1,
        le=3_600,
        description="Seconds of a training that are lost at most, beside the time that storing a "
        "checkpoint takes, when what runs it is lost.",
    )
    lost_attempts: int = Field(
        3,
        ge=1,
        le=100,
        description="Attempts that may be lost in a row, without a new checkpoint, before a job "
        "fails.",
    )

    object_generator_endpoint: str | None = Field(
        None,
        description="OpenAI-compatible address for ObjectGenerator steps; absent: a flow with such "
        "a step is refused.",
    )
    object_generator_key: SecretStr | None = Field(
        None, description="API key for that address; absent: none is sent."
    )
    object_generator_model: str | None = Field(
        None, description="Language model that is asked for there."
    )

    webhook_private_networks: bool = Field(
        False,
        description="`on` lets webhooks lead into private networks and to this machine: only where "
        "everybody who may add one is trusted.",
    )

    @field_validator("cluster_gpus")
    @classmethod
    def _is_said_once(
        cls, value: Mapping[str, int] | None, info: ValidationInfo
    ) -> Mapping[str, int] | None:
        if value is not None and info.data.get("cluster_gpu_gigabytes") is not None:
            raise ValueError("says what CLUSTER_GPU_GIGABYTES says too: set one of them")
        return value

    @field_validator("cluster_machine_gpus")
    @classmethod
    def _has_gpus(cls, value: int, info: ValidationInfo) -> int:
        names = ("cluster_gpu_gigabytes", "cluster_gpus")
        if value > 1 and all(info.data.get(name) is None for name in names):
            raise ValueError("needs CLUSTER_GPUS or CLUSTER_GPU_GIGABYTES: how large they are")
        return value

    @property
    def lease(self) -> timedelta:
        """How long a worker holds a job without a sign of life."""
        return timedelta(seconds=self.lease_seconds)

    @property
    def prices(self) -> PriceList:
        """What each kind of work costs here."""
        return PriceList(
            training_minute=self.price_training_minute,
            picture=self.price_picture,
            private_run=self.price_private_run,
            public_run=self.price_public_run,
            object_transformer=self.price_object_transformer,
            zipper=self.price_zipper,
            zipper_megabyte=self.price_zipper_megabyte,
            object_generator_token=self.price_object_generator_token,
        )


def read_config(environment: Mapping[str, str]) -> ServiceConfig:
    """The deployment that `environment` describes; an empty variable is one that is not there.

    Raises:
        InvalidSettings: a value is not allowed, or a variable with our prefix does not exist.
    """
    given = {name: value for name, value in environment.items() if value.strip()}
    _refuse_unknown(given)
    values: dict[str, str] = {}
    for field in ServiceConfig.model_fields:
        for variable in reversed(variables_of(field)):
            if variable in given:
                values[field] = given[variable]
    try:
        return ServiceConfig.model_validate(values)
    except ValidationError as error:
        raise InvalidSettings("\n".join(_faults(error))) from None


def variables_of(field: str) -> tuple[str, ...]:
    """The environment variables of a field, the one that wins first."""
    name = field.upper()
    return (PREFIX + name, name) if name in PLAIN_NAMES else (PREFIX + name,)


def default_of(field: FieldInfo) -> str:
    """What holds when the variable is absent, in the words of `docs/reference/configuration.md`."""
    if field.examples:
        return str(field.examples[0])
    default: object = field.default
    if default is None:
        return ""
    if isinstance(default, bool):
        return "on" if default else "off"
    if isinstance(default, int) and field.metadata and _is_money(field):
        return f"{Decimal(default) / MICRODOLLARS_PER_DOLLAR:f}"
    return str(default)


def _is_money(field: FieldInfo) -> bool:
    return any(isinstance(part, BeforeValidator) for part in field.metadata)


def _refuse_unknown(given: Mapping[str, str]) -> None:
    known = [PREFIX + field.upper() for field in ServiceConfig.model_fields]
    for name in given:
        if name.startswith(PREFIX) and name not in (*known, *ELSEWHERE, *OF_CLIENTS):
            near = get_close_matches(name, known, n=1)
            meant = f" Did you mean {near[0]}?" if near else ""
            raise InvalidSettings(f"There is no environment variable {name}.{meant}")


def _faults(error: ValidationError) -> Iterator[str]:
    # the value is not repeated: it may be a secret
    for fault in error.errors(include_input=False):
        variable = PREFIX + str(fault["loc"][0]).upper()
        yield f"{variable}: {fault['msg'].removeprefix('Value error, ')}."
