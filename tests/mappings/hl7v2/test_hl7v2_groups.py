"""Which segments belong together, whatever a sender leaves out or adds."""

import pytest

from mappings.core.source import Source
from mappings.hl7v2 import read
from mappings.hl7v2.groups import RESULTS, Layout, Order, orders, patient_groups
from mappings.hl7v2.segment import Segment

SPECIMEN_FIRST = Layout(specimen_first=True, order_after=True)
ORDER_FIRST = Layout(order_after=True)


def segments(text: str) -> list[Segment]:
    lines = "\r".join(f"{name}|{number}" for number, name in enumerate(text.split(), 1))
    return read(f"MSH|^~\\&|A|B|C|D|20240318||ORU^R01|1|P|2.5\r{lines}".encode(), Source()).segments[1:]


def shown(order: Order) -> str:
    """The order as text: its own segments, then its results and samples with what belongs to them."""
    own = [order.orc, order.obr, *order.timings, *order.notes, *order.participations, *order.diagnoses]
    groups = [
        own,
        *((result.obx, *result.notes, *result.participations) for result in order.results),
        *((sample.spm, *sample.containers) for sample in order.samples),
    ]
    parts = [" ".join(segment.raw.replace("|", "") for segment in group if segment) for group in groups]
    return ", ".join(part for part in parts if part)


@pytest.mark.parametrize(
    ("sent", "layout", "found"),
    [
        ("ORC OBR OBX", RESULTS, ["ORC1 OBR2, OBX3"]),
        ("OBR OBX OBR OBX", RESULTS, ["OBR1, OBX2", "OBR3, OBX4"]),
        ("OBX OBX", RESULTS, ["OBX1, OBX2"]),
        ("OBX OBR OBX", RESULTS, ["OBX1", "OBR2, OBX3"]),
        ("ORC ORC OBR", RESULTS, ["ORC1", "ORC2 OBR3"]),
        ("ORC OBR NTE OBX NTE NTE PRT", RESULTS, ["ORC1 OBR2 NTE3, OBX4 NTE5 NTE6 PRT7"]),
        ("ORC PRT OBR PRT TQ1 DG1", RESULTS, ["ORC1 OBR3 TQ15 PRT2 PRT4 DG16"]),
        ("ORC OBR OBX SPM SAC NTE ORC OBR", RESULTS, ["ORC1 OBR2, OBX3, SPM4 SAC5", "ORC7 OBR8"]),
        ("ZZZ NTE", RESULTS, []),
        # OUL R22: the specimen, its own results, then the orders about it with ORC behind OBR
        ("SPM OBX OBR ORC OBX OBR ORC", SPECIMEN_FIRST, ["ORC4 OBR3, OBX2, OBX5, SPM1", "ORC7 OBR6, SPM1"]),
        ("SPM OBR ORC OBX SPM OBR OBX", SPECIMEN_FIRST, ["ORC3 OBR2, OBX4, SPM1", "OBR6, OBX7, SPM5"]),
        ("OBR ORC OBX SPM OBR ORC OBX SPM", ORDER_FIRST, ["ORC2 OBR1, OBX3, SPM4", "ORC6 OBR5, OBX7, SPM8"]),
        # OML O33: the specimen first, ORC before its OBR
        (
            "SPM SAC ORC OBR ORC OBR",
            Layout(specimen_first=True),
            ["ORC3 OBR4, SPM1 SAC2", "ORC5 OBR6, SPM1 SAC2"],
        ),
    ],
)
def test_orders(sent: str, layout: Layout, found: list[str]) -> None:
    assert [shown(order) for order in orders(segments(sent), layout)] == found


def test_what_follows_a_patient_is_that_patients() -> None:
    first, second = patient_groups(segments("ZZZ PID PV1 OBR OBX AL1 PID OBR OBX PD1"))
    assert [shown(order) for order in first.orders] == ["OBR4, OBX5"]
    assert [shown(order) for order in second.orders] == ["OBR8, OBX9"]
    assert (first.pv1 is not None, second.pv1, len(first.allergies), first.pd1) == (True, None, 1, None)
    assert second.pd1 is not None
