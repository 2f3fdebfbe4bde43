"""Languages as BCP 47 has them: https://hl7.org/fhir/R4/valueset-all-languages.html

HL7 table 0296 is a site's own; what is sent is ISO 639 with two or three letters, a locale, or a name.
"""

import re
from typing import Final

from mappings.core.result import Element
from mappings.hl7v2.context import Context
from mappings.hl7v2.datatypes import cwe_to_codeable_concept
from mappings.hl7v2.segment import Field

BCP47: Final = "urn:ietf:bcp:47"

_PAIRS: Final = (
    "aar:aa abk:ab afr:af aka:ak alb:sq sqi:sq amh:am ara:ar arg:an arm:hy hye:hy asm:as ava:av ave:ae "
    "aym:ay aze:az bak:ba bam:bm baq:eu eus:eu bel:be ben:bn bis:bi bod:bo tib:bo bos:bs bre:br bul:bg "
    "bur:my mya:my cat:ca ces:cs cze:cs cha:ch che:ce chi:zh zho:zh chu:cu chv:cv cor:kw cos:co cre:cr "
    "cym:cy wel:cy dan:da deu:de ger:de div:dv dut:nl nld:nl dzo:dz ell:el gre:el eng:en epo:eo est:et "
    "ewe:ee fao:fo fas:fa per:fa fij:fj fin:fi fra:fr fre:fr fry:fy ful:ff geo:ka kat:ka gla:gd gle:ga "
    "glg:gl glv:gv grn:gn guj:gu hat:ht hau:ha heb:he her:hz hin:hi hmo:ho hrv:hr hun:hu ibo:ig ice:is "
    "isl:is ido:io iii:ii iku:iu ile:ie ina:ia ind:id ipk:ik ita:it jav:jv jpn:ja kal:kl kan:kn kas:ks "
    "kau:kr kaz:kk khm:km kik:ki kin:rw kir:ky kom:kv kon:kg kor:ko kua:kj kur:ku lao:lo lat:la lav:lv "
    "lim:li lin:ln lit:lt ltz:lb lub:lu lug:lg mac:mk mkd:mk mah:mh mal:ml mao:mi mri:mi mar:mr may:ms "
    "msa:ms mlg:mg mlt:mt mon:mn nau:na nav:nv nbl:nr nde:nd ndo:ng nep:ne nno:nn nob:nb nor:no nya:ny "
    "oci:oc oji:oj ori:or orm:om oss:os pan:pa pli:pi pol:pl por:pt pus:ps que:qu roh:rm ron:ro rum:ro "
    "run:rn rus:ru sag:sg san:sa sin:si slk:sk slo:sk slv:sl sme:se smo:sm sna:sn snd:sd som:so sot:st "
    "spa:es srd:sc srp:sr ssw:ss sun:su swa:sw swe:sv tah:ty tam:ta tat:tt tel:te tgk:tg tgl:tl tha:th "
    "tir:ti ton:to tsn:tn tso:ts tuk:tk tur:tr twi:tw uig:ug ukr:uk urd:ur uzb:uz ven:ve vie:vi vol:vo "
    "wln:wa wol:wo xho:xh yid:yi yor:yo zha:za zul:zu"
)
_TWO_OF_THREE: Final = dict(pair.split(":") for pair in _PAIRS.split())
"""ISO 639-2, bibliographic and terminological, -> ISO 639-1, which BCP 47 prefers."""

_TWO: Final = frozenset(_TWO_OF_THREE.values())

_OF_NAME: Final = {
    "ALLEMAND": "de",
    "ANGLAIS": "en",
    "ARABE": "ar",
    "ARABIC": "ar",
    "CHINESE": "zh",
    "CHINOIS": "zh",
    "E": "en",
    "ENGLISH": "en",
    "ESPAGNOL": "es",
    "FRANCAIS": "fr",
    "FRANÇAIS": "fr",
    "FRENCH": "fr",
    "GERMAN": "de",
    "ITALIAN": "it",
    "ITALIEN": "it",
    "PORTUGAIS": "pt",
    "PORTUGUESE": "pt",
    "RUSSE": "ru",
    "RUSSIAN": "ru",
    "SPANISH": "es",
}
_THREE: Final = re.compile(r"[A-Za-z]{3}")
_LOCALE: Final = re.compile(r"([a-z]{2,3})[-_]([a-z]{2})")


def cwe_to_language(cwe: Field, context: Context) -> Element | None:
    """CodeableConcept of a language: its tag (BCP 47) first, which FHIR wants, then the codes as sent.

    ``und``, undetermined, stands for what is no language that is known; an issue says so.
    """
    concept = cwe_to_codeable_concept(cwe, context, "0296")
    if concept is None:
        return None
    tag = next((code for part in (cwe[1], cwe[4], cwe[2]) if (code := language(str(part)))), "")
    if not tag and str(cwe[3]).upper().startswith("ISO639") and _THREE.fullmatch(str(cwe[1])):
        tag = str(cwe[1]).lower()  # a language that has only three letters
    if not tag:
        sent = str(cwe[1]) or cwe[2].text
        context.warn(f"{sent[:40]!r} is no language of ISO 639", cwe, "code-invalid")
    codings = [coding for coding in concept.get("coding", ()) if coding.get("system") != BCP47]
    return {**concept, "coding": [{"system": BCP47, "code": tag or "und"}, *codings]}


def language(text: str) -> str:
    """The BCP 47 tag of a language as it is sent; "" when it is none that is known."""
    low = text.strip().lower()
    if low in _TWO:
        return low
    if low in _TWO_OF_THREE:
        return _TWO_OF_THREE[low]
    if (name := _OF_NAME.get(low.upper())) is not None:
        return name
    if (locale := _LOCALE.fullmatch(low)) and (code := language(locale[1])):
        return f"{code}-{locale[2].upper()}"
    return ""
