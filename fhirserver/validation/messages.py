"""What the validator says, in English and French.

A message is named by its key, which is also the id of the rule that is told to clients; ``page`` is where the
specification says it (https://hl7.org/fhir/R4/...). What is shown of a value is cut by ``report.shown``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Language = Literal["en", "fr"]

Said = str | tuple[str, str]
"""A part of a message; where it differs by language, English and French."""

SPECIFICATION = "https://hl7.org/fhir/R4/"


@dataclass(frozen=True, slots=True)
class Message:
    english: str
    french: str
    page: str = "validation.html"

    def said(self, language: Language, values: Mapping[str, Any]) -> str:
        french = language == "fr"
        chosen = {k: v[french] if isinstance(v, tuple) else v for k, v in values.items()}
        return (self.french if french else self.english).format_map(chosen)


def language_of(accept_language: str) -> Language:
    """The language of the first range of an Accept-Language header that is English or French."""
    ranked = []
    for place, part in enumerate(accept_language.split(",")):
        range, _, quality = part.partition(";")
        primary = range.strip().lower().partition("-")[0]
        _, _, weight = quality.partition("=")
        try:
            ranked.append((-float(weight.strip() or 1), place, primary))
        except ValueError:
            continue  # not a range: as if it were not there (RFC 9110, 12.5.4: a preference, never an error)
    for _, _, primary in sorted(ranked):
        if primary in ("en", "fr"):
            return "fr" if primary == "fr" else "en"
    return "en"


_JSON, _TYPES, _RULES = "json.html", "datatypes.html", "conformance-rules.html"
_ELEMENTS, _BINDINGS, _REFERENCES = "elementdefinition.html", "terminologies.html", "references.html"
_SYSTEMS, _FILTERS = "codesystem.html#CodeSystem.property", "valueset.html#compositions"
_PROFILES, _EXTENSIONS, _BUNDLES = "profiling.html", "extensibility.html", "bundle.html"

# fmt: off
MESSAGES: dict[str, Message] = {
    # structure
    "ele-1": Message("ele-1: {what}", "ele-1 : {what}", "element.html"),
    "no-resource": Message(
        "a resource has to be an object with its resourceType",
        "une ressource doit être un objet avec son resourceType", _JSON),
    "unknown-type": Message(
        "{type} is not a resource type of FHIR R4",
        "{type} n'est pas un type de ressource de FHIR R4", "resourcelist.html"),
    "unknown-element": Message(
        "{name} is not an element of {parent}{advice}",
        "{name} n'est pas un élément de {parent}{advice}", _JSON),
    "object": Message(
        "{name} has to be an object, not {value}", "{name} doit être un objet, pas {value}", _JSON),
    "array": Message(
        "{name} repeats: it has to be an array", "{name} se répète : ce doit être un tableau", _JSON),
    "no-array": Message(
        "{name} does not repeat: it cannot be an array",
        "{name} ne se répète pas : ce ne peut être un tableau", _JSON),
    "array-length": Message(
        "{name} and {twin} have {values} and {twins} items; null pads them",
        "{name} et {twin} ont {values} et {twins} éléments ; null comble les places vides", _JSON),
    "depth": Message("nested deeper than {most} levels", "plus de {most} niveaux d'imbrication", _JSON),
    "choice": Message(
        "{name}[x] can be there once, not as {one} and {other}",
        "{name}[x] ne peut être là qu'une fois, pas comme {one} et {other}", "formats.html#choice"),
    "required": Message(
        "{name} needs {element}", "{name} : l'élément {element} est obligatoire", _RULES + "#cardinality"),
    # values
    "type": Message("{value} is not {wanted}", "{value} n'est pas {wanted}", _TYPES),
    "narrative": Message(
        "The narrative is refused: {why}", "Le texte narratif est refusé : {why}", "narrative.html"),
    "period-precision": Message(
        "{start} and {end} differ in precision: which one is first cannot be said",
        "{start} et {end} n'ont pas la même précision : on ne peut dire lequel est le premier",
        _TYPES + "#Period"),
    "link-scheme": Message(
        "the link {value}: {scheme} cannot be followed in a page",
        "le lien {value} : {scheme} ne peut être suivi dans une page", "narrative.html"),
    "link-dead": Message(
        "the link {value} leads nowhere in the resource",
        "le lien {value} ne mène nulle part dans la ressource", "narrative.html"),
    "not-null": Message("null is not {wanted}", "null n'est pas {wanted}", _JSON),
    "attachment-size": Message(
        "size says {stated}, data has {found} bytes",
        "size annonce {stated}, data contient {found} octets", _TYPES + "#Attachment"),
    "attachment-hash": Message(
        "hash is not the SHA-1 of data", "hash n'est pas le SHA-1 de data", _TYPES + "#Attachment"),
    # codes
    "code": Message("{value} is not {wanted}", "{value} n'est pas {wanted}", _BINDINGS + "#required"),
    "coding": Message("{value} is not {wanted}", "{value} n'est pas {wanted}", _BINDINGS + "#required"),
    "no-coding": Message(
        "a coding is needed: {wanted}", "un coding est nécessaire : {wanted}", _BINDINGS + "#required"),
    "codings": Message(
        "{value}: no coding is {wanted}", "{value} : aucun coding n'est {wanted}", _BINDINGS + "#required"),
    "extensible": Message(
        "{value}: {wanted} is to be used unless none of it fits",
        "{value} : {wanted} est à utiliser, sauf si aucun code ne convient", _BINDINGS + "#extensible"),
    "unknown-code": Message(
        "{code} is not a code of {system}{advice}", "{code} n'est pas un code de {system}{advice}",
        "codesystem.html"),
    "code-missing": Message(
        "a code is required, extensions do not replace it",
        "un code est obligatoire, des extensions ne le remplacent pas", _BINDINGS + "#required"),
    "display": Message(
        "{value} is not what {code} is called: {wanted}",
        "{value} n'est pas le nom de {code} : {wanted}", _TYPES + "#Coding"),
    "system-supplement": Message(
        "{value} supplements a code system: it has no codes of its own",
        "{value} complète un système de codes : il n'a pas de codes à lui", "codesystem.html#supplements"),
    # definitions
    "property-twice": Message(
        "the property {code} is defined twice", "la propriété {code} est définie deux fois", _SYSTEMS),
    "property-type": Message(
        "the property {code} is a {wanted}, not a {type}",
        "la propriété {code} est de type {wanted}, pas {type}", _SYSTEMS),
    "property-name": Message(
        "{code} is the code of another property; this one is {wanted}",
        "{code} est le code d'une autre propriété ; celle-ci est {wanted}", _SYSTEMS),
    "filter-boolean": Message(
        "the property {property} is true or false, not {value}",
        "la propriété {property} est true ou false, pas {value}", _FILTERS),
    "filter-coding": Message(
        "the property {property} is a coding: system#code, not {value}",
        "la propriété {property} est un coding : system#code, pas {value}", _FILTERS),
    "filter-constraint": Message(
        "{value} is no expression of SNOMED CT", "{value} n'est pas une expression de SNOMED CT", _FILTERS),
    "expression": Message(
        "{value} is no FHIRPath: {why}", "{value} n'est pas du FHIRPath : {why}", _FILTERS),
    "expression-language": Message(
        "{value} is not text/fhirpath", "{value} n'est pas text/fhirpath", _FILTERS),
    "expression-parameter": Message(
        "{name} is not a parameter of the value set", "{name} n'est pas un paramètre du jeu de valeurs",
        _FILTERS),
    "map-code": Message(
        "{value} is not in the value set {wanted}", "{value} n'est pas dans le jeu de valeurs {wanted}",
        "conceptmap.html"),
    "derived-parameter": Message(
        "{value} is not {wanted}, as the parameter has that this is derived from",
        "{value} n'est pas {wanted}, ce qu'a le paramètre dont celui-ci dérive", "searchparameter.html"),
    "canonical-relative": Message(
        "{value} is not absolute: a canonical is, or it names what is contained (#id)",
        "{value} n'est pas absolu : une canonique l'est, ou désigne ce qui est contenu (#id)",
        _TYPES + "#canonical"),
    "system-relative": Message(
        "{value} is not absolute: what is meant cannot be told elsewhere",
        "{value} n'est pas absolu : ailleurs, nul ne sait ce qui est visé", _TYPES + "#Coding"),
    "system-value-set": Message(
        "{value} is a value set, a code system is needed",
        "{value} est un jeu de valeurs, il faut un système de codes", _TYPES + "#Coding"),
    "identifier-uri": Message(
        "{value} is not a full URI, as its system says",
        "{value} n'est pas un URI complet, comme le dit son système",
        _TYPES + "#Identifier"),
    "supplement-content": Message(
        "what supplements a code system has the content supplement",
        "ce qui complète un système de codes a le contenu supplement", "codesystem.html#supplements"),
    "value-set-unknown": Message(
        "{value} could not be checked: the value set {value_set} is not known here",
        "{value} n'a pas pu être vérifié : le jeu de valeurs {value_set} n'est pas connu ici", _BINDINGS),
    # references
    "reference-type": Message(
        "type says {stated}, the reference points to {found}",
        "type dit {stated}, la référence désigne {found}", _REFERENCES + "#type"),
    "reference-target": Message(
        "{found} cannot be referred to here, only {wanted}",
        "{found} ne peut pas être référencé ici, seulement {wanted}", _REFERENCES),
    "reference-unknown": Message(
        "{type} is not a resource type", "{type} n'est pas un type de ressource", _REFERENCES + "#literal"),
    "ref-1": Message(
        "ref-1: no contained resource has the id {id}",
        "ref-1 : aucune ressource contenue n'a l'identifiant {id}", _REFERENCES + "#contained"),
    "contained-duplicate": Message(
        "the id {id} occurs twice in contained", "l'id {id} apparaît deux fois dans contained",
        _REFERENCES + "#contained"),
    "sqty-1": Message(
        "sqty-1: the comparator {value} is not used on a SimpleQuantity",
        "sqty-1 : le comparateur {value} ne s'utilise pas sur une SimpleQuantity",
        _TYPES + "#SimpleQuantity"),
    # Bundles
    "full-url": Message(
        "fullUrl ends with {stated}, the resource is {found}",
        "fullUrl se termine par {stated}, la ressource est {found}", _BUNDLES + "#bundle-unique"),
    "full-url-missing": Message(
        "an entry needs a fullUrl, except in transactions and batches",
        "une entrée demande un fullUrl, sauf dans les transactions et les lots", _BUNDLES + "#bundle-unique"),
    "full-url-relative": Message(
        "fullUrl has to be absolute, not {value}",
        "fullUrl doit être absolu, pas {value}", _BUNDLES + "#bundle-unique"),
    "link-duplicate": Message(
        "there is more than one link {relation}", "il y a plus d'un lien {relation}", _BUNDLES),
    "not-an-outcome": Message(
        "the outcome of a search is an OperationOutcome, not {found}",
        "le résultat annexe d'une recherche est un OperationOutcome, pas {found}", _BUNDLES),
    "found-without-id": Message(
        "what a search finds has an id", "ce qu'une recherche trouve a un id", _BUNDLES),
    "not-searched": Message(
        "the search was for {wanted}, this is {found}",
        "la recherche portait sur {wanted}, ceci est {found}", _BUNDLES),
    "relative-in-document": Message(
        "{reference} is relative to the fullUrl of its entry, and no entry has the fullUrl that this gives",
        "{reference} est relative au fullUrl de son entrée ; aucune entrée n'a le fullUrl ainsi formé",
        _BUNDLES + "#references"),
    "twice-in-document": Message(
        "{reference} is in the document more than once: its version has to be named",
        "{reference} est plusieurs fois dans le document : sa version doit être nommée",
        "documents.html#content"),
    "not-in-document": Message(
        "{reference} is not in the document: what its Composition refers to has to be",
        "{reference} n'est pas dans le document : ce que sa Composition référence doit y être",
        "documents.html#content"),
    # extensions
    "extension-context": Message(
        "the extension {url} is not for {place}, only for {wanted}",
        "l'extension {url} n'est pas pour {place}, seulement pour {wanted}",
        "defining-extensions.html#context"),
    "extension-relative": Message(
        "{url} is not absolute: only the parts of an extension have relative urls",
        "{url} n'est pas absolu : seules les parties d'une extension ont des url relatives",
        _EXTENSIONS + "#Extension.url"),
    "extension-condition": Message(
        "the extension {url} is not for this: {wanted} does not hold",
        "l'extension {url} n'est pas pour ceci : {wanted} n'est pas vrai",
        "defining-extensions.html#context"),
    "extension-modifier": Message(
        "the extension {url} changes the meaning: it belongs into modifierExtension",
        "l'extension {url} change le sens : sa place est dans modifierExtension",
        _EXTENSIONS + "#modifierExtension"),
    "extension-no-modifier": Message(
        "the extension {url} does not change the meaning: it belongs into extension",
        "l'extension {url} ne change pas le sens : sa place est dans extension",
        _EXTENSIONS + "#modifierExtension"),
    "extension-repeats": Message(
        "the extension {url} is there {count} times, at most {most} expected",
        "l'extension {url} est là {count} fois, au plus {most} attendue", "defining-extensions.html"),
    "extension-part": Message(
        "{url} is not a part of the extension {extension}, only {wanted}",
        "{url} n'est pas une partie de l'extension {extension}, seulement {wanted}",
        "defining-extensions.html"),
    "modifier-unknown": Message(
        "the modifier extension {url} is not known here: what it changes cannot be taken into account",
        "l'extension modificatrice {url} n'est pas connue ici : il ne peut en être tenu compte",
        _EXTENSIONS + "#modifierExtension"),
    "extension-unknown": Message(
        "the extension {url} is not known here and was not checked",
        "l'extension {url} n'est pas connue ici et n'a pas été vérifiée", _EXTENSIONS),
    # profiles
    "profile-unknown": Message(
        "The profile {profile} is not known here: it was not checked",
        "Le profil {profile} n'est pas connu ici : il n'a pas été vérifié", _PROFILES),
    "profile-unusable": Message(
        "The profile {profile} cannot be checked: {why}",
        "Le profil {profile} ne peut pas être vérifié : {why}", _PROFILES),
    "profile-type": Message(
        "the profile {profile} is about {type}, this is {found}",
        "le profil {profile} porte sur {type}, ceci est {found}", _PROFILES),
    "profile-min": Message(
        "{profile}: {name} is there {count} times, at least {least} needed",
        "{profile} : {name} est là {count} fois, au moins {least} nécessaire", _RULES + "#cardinality"),
    "profile-max": Message(
        "{profile}: {name} is there {count} times, at most {most} allowed",
        "{profile} : {name} est là {count} fois, au plus {most} permis", _RULES + "#cardinality"),
    "profile-fixed": Message(
        "{profile}: {value} is not {wanted}, which is fixed",
        "{profile} : {value} n'est pas {wanted}, qui est fixé", _ELEMENTS),
    "profile-pattern": Message(
        "{profile}: {value} does not have what is required: {wanted}",
        "{profile} : {value} n'a pas ce qui est exigé : {wanted}", _ELEMENTS),
    "profile-choice": Message(
        "{profile}: {name} cannot be a {type}, only {wanted}",
        "{profile} : {name} ne peut être un {type}, seulement {wanted}", _ELEMENTS),
    "profile-target": Message(
        "{profile}: {found} cannot be referred to here, only {wanted}",
        "{profile} : {found} ne peut pas être référencé ici, seulement {wanted}", _REFERENCES),
    "profile-aggregation": Message(
        "{profile}: what {value} refers to has to be {wanted}",
        "{profile} : ce que {value} désigne doit être {wanted}", _REFERENCES),
    "profile-length": Message(
        "{profile}: longer than {most} characters", "{profile} : plus de {most} caractères", _ELEMENTS),
    "profile-short": Message(
        "{profile}: shorter than {least} characters", "{profile} : moins de {least} caractères", _ELEMENTS),
    "profile-value": Message(
        "{profile}: a value is needed, extensions do not replace it",
        "{profile} : une valeur est nécessaire, des extensions ne la remplacent pas", _ELEMENTS),
    "profile-alternative": Message(
        "{profile}: in the place of its value only {wanted} can be there",
        "{profile} : à la place de sa valeur, seulement {wanted}", _ELEMENTS),
    "narrative-source": Message(
        "{profile}: text without a class boilerplate, generated or original around it",
        "{profile} : du texte sans classe boilerplate, generated ou original autour", "narrative.html"),
    "narrative-language": Message(
        "{profile}: the narrative has no section in the language {wanted} (found: {found})",
        "{profile} : le texte narratif n'a pas de section dans la langue {wanted} (trouvé : {found})",
        "narrative.html"),
    "narrative-no-language": Message(
        "{profile}: the narrative has sections by language ({found}), which are not allowed",
        "{profile} : le texte narratif a des sections par langue ({found}), ce qui n'est pas permis",
        "narrative.html"),
    "profile-range": Message(
        "{profile}: {value} is out of range: {wanted}",
        "{profile} : {value} est hors limites : {wanted}", _ELEMENTS),
    "slice-closed": Message(
        "{profile}: this is none of the slices {wanted}, and no other is allowed",
        "{profile} : ceci n'est aucune des tranches {wanted}, et aucune autre n'est permise",
        _PROFILES + "#slicing"),
    "slice-order": Message(
        "{profile}: the slice {slice} comes after {before}, the order is fixed",
        "{profile} : la tranche {slice} vient après {before}, l'ordre est fixé", _PROFILES + "#slicing"),
    "slice-unchecked": Message(
        "{profile}: the slices of {name} could not be told apart: {why}",
        "{profile} : les tranches de {name} n'ont pas pu être distinguées : {why}", _PROFILES + "#slicing"),
    # the rest
    "invariant-unchecked": Message(
        "{rule} could not be checked: {why}", "{rule} n'a pas pu être vérifié : {why}",
        _RULES + "#constraints"),
    "more": Message("{rest} more issues are not shown", "{rest} autres problèmes ne sont pas montrés"),
    "one-more": Message("1 more issue is not shown", "1 autre problème n'est pas montré"),
}
# fmt: on
