"""The groups of segments in result and order messages: by patient, by order, by result.

A segment belongs to what stands before it, whatever optional segments a sender leaves out or adds.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from mappings.hl7v2.segment import Segment


@dataclass(slots=True)
class Result:
    """An OBX with the NTE and PRT after it."""

    obx: Segment
    notes: list[Segment] = field(default_factory=list)
    participations: list[Segment] = field(default_factory=list)


@dataclass(slots=True)
class Sample:
    """An SPM with the containers (SAC) after it."""

    spm: Segment
    containers: list[Segment] = field(default_factory=list)


@dataclass(slots=True)
class Order:
    """One order: ORC, OBR or RXO and RXE, and what belongs to them. Any part may be missing."""

    orc: Segment | None = None
    obr: Segment | None = None
    notes: list[Segment] = field(default_factory=list)
    timings: list[Segment] = field(default_factory=list)
    participations: list[Segment] = field(default_factory=list)
    diagnoses: list[Segment] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    rxo: Segment | None = None
    rxe: Segment | None = None
    routes: list[Segment] = field(default_factory=list)
    components: list[Segment] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return self.obr is None and self.orc is None and self.rxe is None and not self.results


@dataclass(slots=True)
class PatientGroup:
    """The segments of one patient: PID, PD1, PV1, AL1 and the orders."""

    pid: Segment
    pd1: Segment | None = None
    pv1: Segment | None = None
    allergies: list[Segment] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where segments stand: orders after the specimen they are about (OUL R22, R23, OML O33), ORC right after
    its OBR instead of before (OUL)."""

    specimen_first: bool = False
    order_after: bool = False


RESULTS: Final = Layout()


def patient_groups(segments: Iterable[Segment], layout: Layout = RESULTS) -> Iterator[PatientGroup]:
    """Group by PID: whatever follows one, up to the next, is that patient's and nobody else's."""
    group: PatientGroup | None = None
    pending: list[Segment] = []
    for segment in segments:
        if segment.name == "PID":
            if group is not None:
                group.orders = list(orders(pending, layout))
                yield group
            group, pending = PatientGroup(segment), []
            continue
        if group is None:
            continue
        match segment.name:
            case "PD1":
                group.pd1 = segment
            case "PV1":
                group.pv1 = segment
            case "AL1" | "IAM":
                group.allergies.append(segment)
            case _:
                pending.append(segment)
    if group is not None:
        group.orders = list(orders(pending, layout))
        yield group


def orders(segments: Iterable[Segment], layout: Layout = RESULTS) -> Iterator[Order]:
    """Group by OBR; an NTE or PRT belongs to the order or result before it."""
    order = Order()
    notes: list[Segment] = []
    participations: list[Segment] = []
    before = ""
    for segment in segments:
        match segment.name:
            case "ORC" if layout.order_after and before == "OBR" and order.orc is None:
                order.orc = segment
            case "ORC" | "OBR":
                if order.obr is not None or (segment.name == "ORC" and order.orc is not None):
                    yield order
                    order = Order(samples=order.samples if layout.specimen_first else [])
                elif order.results and not layout.specimen_first:
                    yield order
                    order = Order()
                if segment.name == "ORC":
                    order.orc = segment
                else:
                    order.obr = segment
                notes, participations = order.notes, order.participations
            case "OBX":
                result = Result(segment)
                order.results.append(result)
                notes, participations = result.notes, result.participations
            case "SPM":
                if layout.specimen_first and order.obr is not None:
                    yield order
                    order = Order()
                order.samples.append(Sample(segment))
                notes, participations = [], []
            case "SAC" if order.samples:
                order.samples[-1].containers.append(segment)
            case "NTE":
                notes.append(segment)
            case "PRT":
                participations.append(segment)
            case "TQ1":
                order.timings.append(segment)
            case "DG1":
                order.diagnoses.append(segment)
            case "RXO":
                order.rxo = segment
            case "RXE":
                order.rxe = segment
                order.components, order.routes = [], []  # what the pharmacy makes, not what was asked for
            case "RXR":
                order.routes.append(segment)
            case "RXC":
                order.components.append(segment)
        before = segment.name
    if not order.is_empty:
        yield order
