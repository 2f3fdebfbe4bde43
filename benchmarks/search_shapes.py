"""The searches whose growth is measured: what a record viewer, a service desk and a dashboard ask."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from benchmarks.codes import LOINC, UCUM
from benchmarks.people import INS_OID, Person, person

DAY, YEAR = "2025-03-10", "date=ge2024-06&date=lt2025-06"


@dataclass(frozen=True, slots=True)
class Shape:
    """``query`` makes a search from a person; ``grows`` says that its answer, or what is counted, grows."""

    name: str
    query: Callable[[Person], str]
    grows: bool = False


def _about(query: str) -> Callable[[Person], str]:
    """A search with the person's id for ``{id}``."""
    return lambda someone: query.format(id=someone.id)


def _same(query: str) -> Callable[[Person], str]:
    return lambda _: query


PRESSURE, WEIGHT = f"{LOINC}|85354-9", f"{LOINC}|29463-7"
FILTER = f"patient%20eq%20{{id}}%20and%20(code%20eq%20{PRESSURE}%20or%20code%20eq%20{WEIGHT})"


def _person(p: Person) -> str:
    return f"family={quote(p.birth_name)}&given={quote(p.given[0])}&birthdate={p.birth_date}"


def _just_now(_: Person) -> str:
    return f"Patient?_lastUpdated=gt{(datetime.now(UTC) - timedelta(seconds=2)).isoformat()[:19]}Z"


SHAPES = (
    Shape("_id", _about("Patient?_id={id}")),
    Shape("identifier", lambda p: f"Patient?identifier=urn:oid:{INS_OID}|{p.ins}"),
    Shape("identifier without system", lambda p: f"Patient?identifier={p.ins}"),
    Shape("family, given, birthdate", lambda p: f"Patient?{_person(p)}"),
    Shape("name prefix of 3, 10", lambda p: f"Patient?name={quote(p.birth_name[:3])}&_count=10"),
    Shape("family exact, 5", lambda p: f"Patient?family:exact={quote(p.birth_name)}&_count=5"),
    Shape("birthdate", lambda p: f"Patient?birthdate={p.birth_date}"),
    Shape("newest patients", _same("Patient")),
    Shape("patient", _about("Observation?patient={id}")),
    Shape("patient's documents, sorted", _about("DocumentReference?patient={id}&_sort=-date")),
    Shape("patient, code", _about(f"Observation?patient={{id}}&code={PRESSURE}")),
    Shape("patient, category", _about("Observation?patient={id}&category=laboratory")),
    Shape("patient, dates, sorted", _about(f"Observation?patient={{id}}&{YEAR}&_sort=-date")),
    Shape("patient, type of document", _about("DocumentReference?patient={id}&type=11502-2")),
    Shape("patient, since", _about("Immunization?patient={id}&date=ge2015")),
    Shape("two patients", lambda p: f"Observation?patient={p.id},{person(p.seed, p.index // 2).id}"),
    Shape("common code, newest", _same(f"Observation?code={PRESSURE}")),
    Shape("two common codes, newest", _same(f"Observation?code={PRESSURE},{WEIGHT}")),
    Shape("code$value", _same(f"Observation?code-value-quantity={WEIGHT}$gt0.08|{UCUM}|Mg")),
    Shape("code, rare value", _same(f"Observation?code={WEIGHT}&value-quantity=gt90000|{UCUM}|g")),
    Shape("a day, 5", _same(f"Observation?date={DAY}&_count=5")),
    Shape("a day", _same(f"Observation?date={DAY}"), grows=True),
    Shape("a month", _same("Observation?date=2025-03")),
    Shape("a day, a code", _same(f"Observation?date=ge{DAY}&date=lt2025-03-11&code={PRESSURE}"), grows=True),
    Shape("just now", _just_now),
    Shape("chain: identifier", lambda p: f"Observation?patient.identifier={p.ins}"),
    Shape("chain: birthdate", lambda p: f"Observation?patient.birthdate={p.birth_date}"),
    Shape("_filter", _about(f"Observation?_filter={FILTER}")),
    Shape("_has, _id", _about(f"Patient?_id={{id}}&_has:Observation:patient:code={PRESSURE}")),
    Shape("_include", _about("Observation?patient={id}&_include=Observation:patient")),
    Shape("_revinclude", _about("Patient?_id={id}&_revinclude=Observation:patient")),
    Shape("total of a record", _about("Observation?patient={id}&_total=accurate&_count=1")),
    Shape("total of a code, estimated", _same(f"Observation?code={PRESSURE}&_summary=count&_total=estimate")),
    Shape("total of a code", _same(f"Observation?code={PRESSURE}&_summary=count"), grows=True),
)  # fmt: skip
