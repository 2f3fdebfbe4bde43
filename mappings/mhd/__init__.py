"""Documents that are published with FHIR (IHE MHD) to the Bundle that stores them."""

from mappings.mhd.document import Described, Made, describe_bundle, describe_cda
from mappings.mhd.lists import submission_set_of
from mappings.mhd.mapping import Subject, to_bundle
from mappings.mhd.submission import Part, Submission, read

__all__ = [
    "Described",
    "Made",
    "Part",
    "Subject",
    "Submission",
    "describe_bundle",
    "describe_cda",
    "read",
    "submission_set_of",
    "to_bundle",
]
