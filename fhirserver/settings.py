"""The only reader of the environment: every setting is ``FHIRSERVER_<NAME>`` or a command-line option."""

import difflib
import os
import re
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from fhirserver.served_types import SERVED_TYPES

PREFIX = "FHIRSERVER_"

ORIGIN = re.compile(r"https?://[a-z0-9.\-]+(:\d{1,5})?|https?://\[[0-9a-f:]+\](:\d{1,5})?")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
MIB = 1024 * 1024
OBJECTS = ("authorities", "profile_policy", "required_profiles")
"""The settings that are JSON objects."""


class SettingsError(Exception):
    """The settings are not usable; the text says which and why, one per line."""


class Settings(BaseSettings):
    """What an operator may change. Sizes are bytes, times seconds."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", description="address that HTTP and MLLP listen on")
    http_port: int = Field(8080, ge=0, le=65535, description="port of the FHIR API (0: a free one)")
    mllp_port: int = Field(
        2575, ge=-1, le=65535, description="port of the HL7v2 listener (0: a free one, -1: off)"
    )
    workers: int = Field(1, ge=1, le=64, description="number of server processes")
    base_url: str = Field("", description="public FHIR base URL; default http://HOST:PORT/fhir")
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="addresses or networks of proxies whose Forwarded and X-Forwarded-* headers are believed",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="origins whose pages may call the API from a browser, comma separated; * is any"
    )
    data_dir: Path = Field(Path("data"), description="directory of the embedded engine")
    mongodb_uri: str = Field("", description="MongoDB replica set or sharded cluster; empty: embedded engine")
    embedded: bool = Field(False, description="the URI is that of the embedded engine (set by `serve`)")
    database: str = Field("fhirserver", pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,37}$", description="database name")
    packages_dir: Path = Field(
        Path(__file__).parent.parent / "profiles" / "packages", description="directory of the FHIR packages"
    )
    profiles_dir: Path = Field(
        Path(__file__).parent.parent / "profiles", description="directory of StructureDefinitions (*.json)"
    )
    profile_policy: dict[str, Literal["off", "warn", "refuse"]] = Field(
        {"*": "refuse"},
        description="JSON object: resource type (* others) -> what becomes of what fails a profile that it "
        "claims or has to conform to: off, warn, refuse",
    )
    required_profiles: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="JSON object: resource type -> profiles that its resources have to conform to",
    )
    mhd_profiles: Literal["off", "warn", "refuse"] = Field(
        "warn",
        description="what becomes of documents and lists that are not as the profile of IHE MHD or PDSm says "
        "that they, or their Bundle, claim",
    )
    resource_types: Annotated[tuple[str, ...], NoDecode] = Field(
        SERVED_TYPES, description="resource types that are on, comma separated"
    )
    timezone: str = Field("Europe/Paris", description="zone of dates and times that name none")
    xds_source_id: str = Field(
        "2.25.58983958656528036573469754036295622457",
        pattern=r"^[0-2](\.(0|[1-9][0-9]*))+$",
        description="OID that XDS submissions made here name as their source",
    )
    xds_repository_id: str = Field(
        "2.25.328161625246009523254561812684379421533",
        pattern=r"^[0-2](\.(0|[1-9][0-9]*))+$",
        description="OID of this server as an XDS repository (repositoryUniqueId)",
    )
    xds_metadata: Literal["complete", "any"] = Field(
        "complete",
        description="XDS metadata over SOAP: refused without what XDS requires, or taken as they are",
    )
    xds_unknown_patients: Literal["create", "hold"] = Field(
        "create", description="what becomes of a submission over SOAP for a patient who is not known here"
    )
    xds_results_max: int = Field(
        1000,
        ge=1,
        description="most objects that a stored query answers with; of mere references 20 times it",
    )
    xds_assertions: Literal["off", "warn", "require"] = Field(
        "off", description="SAML assertions (VIHF) of SOAP messages: believed, checked and told, or required"
    )
    xds_assertion_certificates: Path | None = Field(
        None,
        description="PEM file or directory: who may sign assertions, or authorities that vouch for them",
    )
    xds_assertion_audience: str = Field("", description="audience that assertions must name; empty: any")
    xds_timezone: str = Field(
        "UTC", description="zone of times without an offset in XDS metadata; some senders write local time"
    )
    max_body: int = Field(64 * MIB, ge=1024, description="largest HTTP body")
    max_resource: int = Field(
        12 * MIB, ge=1024, le=15 * MIB, description="largest stored resource without a Binary's content"
    )
    attachment_inline: int = Field(
        MIB, ge=0, description="largest Attachment.data, decoded, that stays inline; larger is a Binary"
    )
    bundle_max: int = Field(10_000, ge=1, description="most entries of a batch or transaction")
    conditional_delete: Literal["single", "multiple"] = Field(
        "single", description="whether DELETE [type]?criteria may delete several resources"
    )
    conditional_delete_limit: int = Field(
        1000, ge=2, le=10_000, description="most resources that one conditional delete deletes"
    )
    reference_integrity: Literal["off", "warn", "transactions", "enforce"] = Field(
        "transactions",
        description="references to what does not exist: ignored, told, refused in transactions, or refused",
    )
    document_patch: Literal["metadata", "any"] = Field(
        "metadata",
        description="what PATCH may change of a DocumentReference: its status, labels, archiving; anything",
    )
    document_withdrawal: Literal["author", "organization", "anyone"] = Field(
        "organization",
        description="who can withdraw a document: its author, also the same organization, anyone",
    )
    delete_referenced: Literal["allow", "refuse"] = Field(
        "allow", description="whether a resource that others refer to can be deleted"
    )
    admin_operations: bool = Field(
        False, description="whether $purge may be called (nobody is authenticated yet)"
    )
    search_seconds: float = Field(20.0, gt=0, description="longest time of a search; then it is too costly")
    search_documents: int = Field(
        50_000, ge=100, description="most resources that a search without an index may look at"
    )
    text_search: Literal["off", "narrative", "content"] = Field(
        "content",
        description="whose words `_text` and `_content` find: of nothing, of narratives, of everything; "
        "after a change `$reindex`",
    )
    page_size: int = Field(50, ge=1, le=10_000, description="_count when the client names none")
    page_max: int = Field(1000, ge=1, le=10_000, description="largest _count")
    mllp_max_message: int = Field(32 * MIB, ge=1024, description="largest HL7v2 message")
    mllp_idle: float = Field(300.0, gt=0, description="seconds until a silent MLLP connection is closed")
    mllp_message_seconds: float = Field(
        600.0, gt=0, description="longest time from the first byte of an HL7v2 message to its last"
    )
    mllp_ports: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="further ports of the HL7v2 listener, comma separated, each with +tls or +plain after it "
        "where it differs from mllp_port (2576,2577+plain)",
    )
    mllp_networks: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="addresses or networks HL7v2 senders may connect from, comma separated; empty: any"
    )
    mllp_connections: int = Field(256, ge=1, description="most MLLP connections of a process at once")
    mllp_connections_per_address: int = Field(
        64, ge=1, description="most MLLP connections of one address at once"
    )
    mllp_tls_certificate: Path | None = Field(
        None, description="PEM certificate chain: turns TLS on for MLLP"
    )
    mllp_tls_key: Path | None = Field(None, description="PEM private key of the certificate")
    mllp_tls_client_ca: Path | None = Field(
        None, description="PEM CA: MLLP clients must present a certificate"
    )
    smtp_port: int = Field(
        -1, ge=-1, le=65535, description="port of the mail listener, MSSanté (0: a free one, -1: off)"
    )
    smtp_domains: Annotated[tuple[str, ...], NoDecode] = Field(
        ("patient.mssante.fr",), description="domains whose mail is taken, comma separated"
    )
    smtp_max_message: int = Field(32 * MIB, ge=1024, description="largest mail")
    smtp_tls_certificate: Path | None = Field(
        None, description="PEM certificate chain: mail is taken after STARTTLS only"
    )
    smtp_tls_key: Path | None = Field(None, description="PEM private key of the certificate")
    hl7v2_ack: Literal["received", "processed"] = Field(
        "received", description="original mode: acknowledge when stored durably, or after processing"
    )
    hl7v2_test_messages: Literal["process", "hold", "refuse"] = Field(
        "process", description="what becomes of HL7v2 messages that MSH-11 calls test or debugging"
    )
    sources_file: Path | None = Field(
        None, description="TOML file of what is defined of senders (docs/sources.md)"
    )
    unknown_sources: Literal["process", "hold", "refuse"] = Field(
        "process", description="what becomes of messages of senders of whom nothing is defined"
    )
    hl7v2_charset: str = Field("", description="charset of messages that declare none")
    authorities: dict[str, str] = Field(
        default_factory=dict, description="JSON object: HL7v2 assigning authority -> system URI"
    )
    export_dir: Path | None = Field(
        None, description="directory of the files of $export and $import; default DATA_DIR/export"
    )
    import_sources: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="URL prefixes $import reads from, comma separated, such as file:///srv/import; "
        "empty: no files, any public http(s) address",
    )
    job_keep: float = Field(
        86400, gt=0, description="seconds a finished job ($export, $import, $reindex) is kept"
    )
    subscription_endpoints: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="URL prefixes that notifications may go to, comma separated; empty: any public address",
    )
    subscription_retry: float = Field(
        25 * 3600, gt=0, description="seconds a failing notification is repeated before the status is error"
    )
    subscription_keep: float = Field(
        7 * 86400, ge=0, description="seconds a delivered event is kept for $events"
    )
    terminology_server: str = Field(
        "", description="FHIR base URL of a terminology server that is asked for what is not known here"
    )
    terminology_seconds: float = Field(
        5.0, gt=0, description="seconds to wait for an answer of the other terminology server"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="log level")

    @field_validator(
        "resource_types",
        "trusted_proxies",
        "cors_origins",
        "subscription_endpoints",
        "import_sources",
        "mllp_ports",
        "mllp_networks",
        "smtp_domains",
        mode="before",
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        return (
            tuple(part.strip() for part in value.split(",") if part.strip())
            if isinstance(value, str)
            else value
        )

    @field_validator("timezone", "xds_timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"{value!r} is not an IANA time zone such as Europe/Paris") from None
        return value

    @field_validator("mllp_ports")
    @classmethod
    def _ports(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            if not re.fullmatch(r"[0-9]{1,5}(\+tls|\+plain)?", text) or int(text.partition("+")[0]) > 65535:
                raise ValueError(f"{text!r} is not a port such as 2576, 2576+tls or 2576+plain")
        return value

    @field_validator("trusted_proxies", "mllp_networks")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            try:
                ip_network(text)
            except ValueError:
                raise ValueError(f"{text!r} is not an IP address or network such as 10.0.0.0/8") from None
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            if text != "*" and not ORIGIN.fullmatch(text):
                raise ValueError(f"{text!r} is not an origin such as https://app.example.org, or *")
        return value

    @property
    def files_dir(self) -> Path:
        """Where jobs keep their files, a folder each."""
        return self.export_dir or self.data_dir / "export"

    @field_validator("subscription_endpoints", "import_sources")
    @classmethod
    def _prefixes(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for text in value:
            if info.field_name == "import_sources" and re.fullmatch(r"file:///[^?#]+", text):
                continue
            if not re.fullmatch(r"https?://[^/?#@]+(/[^?#]*)?", text):
                raise ValueError(
                    f"{text!r} is not an http(s) URL prefix such as https://app.example.org/hooks"
                )
        return value

    @field_validator("base_url", "terminology_server")
    @classmethod
    def _base(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError(f"{value!r} is not an http(s) URL")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _agree(self) -> "Settings":
        if self.host not in LOOPBACK:
            raise ValueError(
                f"host {self.host!r}: no authentication is configured, so the server listens on loopback "
                f"only ({', '.join(LOOPBACK)}); put an authenticating proxy in front of it"
            )
        if bool(self.mllp_tls_certificate) != bool(self.mllp_tls_key):
            raise ValueError("mllp_tls_certificate and mllp_tls_key go together")
        if bool(self.smtp_tls_certificate) != bool(self.smtp_tls_key):
            raise ValueError("smtp_tls_certificate and smtp_tls_key go together")
        if self.smtp_port >= 0 and not self.smtp_domains:
            raise ValueError("smtp_port needs smtp_domains")
        if self.page_size > self.page_max:
            raise ValueError(f"page_size ({self.page_size}) is larger than page_max ({self.page_max})")
        if any(port.endswith("+tls") for port in self.mllp_ports) and not self.mllp_tls_certificate:
            raise ValueError("mllp_ports: +tls needs mllp_tls_certificate")
        if self.xds_assertions != "off" and not self.xds_assertion_certificates:
            raise ValueError("xds_assertions needs xds_assertion_certificates")
        mllp = (self.mllp_tls_certificate, self.mllp_tls_key, self.mllp_tls_client_ca)
        for path in (*mllp, self.smtp_tls_certificate, self.smtp_tls_key, self.sources_file):
            if path and not path.is_file():
                raise ValueError(f"{path} is not a file")
        return self


def load(options: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings: command-line options win over the environment, which wins over the defaults.

    Raises:
        SettingsError: an unknown name or a bad value, each in a sentence.
    """
    environment = os.environ if environment is None else environment
    known = set(Settings.model_fields)
    problems = []
    values: dict[str, Any] = {}
    for variable, value in environment.items():
        if not variable.startswith(PREFIX):
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name in known:
            values[name] = value
        else:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {PREFIX}{near[0].upper()}?" if near else ""
            problems.append(f"{variable} is not a setting{hint}")
    if problems:
        raise SettingsError("\n".join(problems))
    for name in OBJECTS:
        if isinstance(raw := values.get(name), str):
            values[name] = _object(name, raw)
    values |= {name: value for name, value in (options or {}).items() if value is not None}
    try:
        return Settings(**values)
    except ValidationError as error:
        raise SettingsError("\n".join(_sentence(dict(e)) for e in error.errors())) from None


def to_environment(settings: Settings) -> dict[str, str]:
    """Write the settings as variables, for the worker processes."""
    dumped = settings.model_dump(mode="json", exclude_none=True)
    return {PREFIX + name.upper(): _text(value) for name, value in dumped.items()}


def _text(value: Any) -> str:
    import json

    if isinstance(value, dict):
        return json.dumps(value)
    return ",".join(value) if isinstance(value, list) else str(value)


def _object(name: str, text: str) -> Any:
    import json

    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise SettingsError(f"{PREFIX}{name.upper()} is not a JSON object") from None


def _sentence(error: dict[str, Any]) -> str:
    name = ".".join(str(part) for part in error["loc"])
    text = str(error["msg"]).removeprefix("Value error, ")
    return f"{PREFIX}{name.upper()}: {text}" if name else text
