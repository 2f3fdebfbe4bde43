"""Code systems, value sets and concept maps: what a code means, where it may be used, what it is elsewhere.

https://hl7.org/fhir/R4/terminology-module.html. The modules are pure but for ``terminology`` (which asks the
store) and ``remote``: an evaluation that lacks something names it as a question and is run again.
"""

from fhirserver.terminology.at_once import AtOnce
from fhirserver.terminology.packages import Packages, in_directory, resources_in
from fhirserver.terminology.remote import Remote
from fhirserver.terminology.terminology import Terminology, Verdict

__all__ = ["AtOnce", "Packages", "Remote", "Terminology", "Verdict", "in_directory", "resources_in"]
