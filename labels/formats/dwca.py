"""Darwin Core Archive for OBIS and GBIF: a sampling event per picture, its taxa, and their cover.

Event core, occurrence extension and OBIS's extendedMeasurementOrFact, joined by ``eventID`` and ``occurrenceID``.
Terms: https://dwc.tdwg.org/terms/, text guide: https://dwc.tdwg.org/text/.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from labels.survey_model import Person
from labels.taxonomy import Taxonomy

_DWC = "http://rs.tdwg.org/dwc/terms/"
Columns = tuple[str, ...]
_EVENT = "eventID eventDate year locality locationID samplingProtocol sampleSizeValue sampleSizeUnit samplingEffort"
EVENT: Columns = (*_EVENT.split(), "datasetName", "license")
_OCCURRENCE = "eventID occurrenceID basisOfRecord occurrenceStatus scientificName scientificNameID taxonRank"
OCCURRENCE: Columns = (*_OCCURRENCE.split(), "organismQuantity", "organismQuantityType", "identificationRemarks")
_MEASUREMENT = "eventID occurrenceID measurementID measurementType measurementValue measurementAccuracy"
MEASUREMENT: Columns = (*_MEASUREMENT.split(), "measurementUnit", "measurementMethod")
_LSID = "urn:lsid:marinespecies.org:taxname:"
_RANKS = {"genus": "genus", "family": "family", "species": "species"}
_PROTOCOL = "photo quadrat; outlines of colonies proposed by a model, reviewed by people"
_METHOD = "share of the quadrat's visible ground under the outlines of the taxon; standard deviation as accuracy"


@dataclass(frozen=True, slots=True)
class DwcRows:
    """Lines of the three tables, without their heads."""

    events: bytes
    occurrences: bytes
    measurements: bytes


def dwca_rows(
    release: str,
    images: Iterable[Mapping[str, Any]],
    cover: Iterable[Mapping[str, Any]],
    taxonomy: Taxonomy,
    licence: str,
) -> DwcRows:
    """Events, occurrences and measurements of pictures.

    Args:
        images: rows with ``image_id, site, year, quadrat, frame_cm``.
        cover: rows of the cover table; taxa with a share of 0 were looked for and not found: they are ``absent``.
    """
    valid: dict[str, float] = {}
    occurrences, measurements = [], []
    ids = {taxon.name: taxon.aphia_id for taxon in taxonomy.taxa}
    for row in cover:
        event = f"{release}:{row['image_id']}"
        occurrence = f"{event}:{row['taxon']}"
        valid[row["image_id"]] = row["valid_cm2"]
        percent = f"{100 * row['share']:.4f}"
        aphia = ids.get(row["taxon"])
        occurrences.append(
            {
                "eventID": event,
                "occurrenceID": occurrence,
                "basisOfRecord": "MachineObservation",
                "occurrenceStatus": "present" if row["share"] > 0 else "absent",
                "scientificName": row["taxon"],
                "scientificNameID": f"{_LSID}{aphia}" if aphia else "",
                "taxonRank": _RANKS.get(taxonomy.rank, ""),
                "organismQuantity": percent,
                "organismQuantityType": "% cover",
                "identificationRemarks": f"identified in a photo, taxonomy {taxonomy.reference}",
            }
        )
        errors = [row[name] for name in ("sd_labels", "sd_corners", "sd_inpainted")]
        accuracy = "" if None in errors else f"{100 * sum(error**2 for error in errors) ** 0.5:.4f}"
        for kind, value, error, unit, method in (
            ("cover", percent, accuracy, "%", _METHOD),
            ("number of colonies", str(row["colonies"]), "", "individuals", "outlines counted"),
        ):
            measurements.append(
                {
                    "eventID": event,
                    "occurrenceID": occurrence,
                    "measurementID": f"{occurrence}:{kind}",
                    "measurementType": kind,
                    "measurementValue": value,
                    "measurementAccuracy": error,
                    "measurementUnit": unit,
                    "measurementMethod": method,
                }
            )
    events = [_event(release, row, valid.get(row["image_id"]), licence) for row in images]
    return DwcRows(_lines(events, EVENT), _lines(occurrences, OCCURRENCE), _lines(measurements, MEASUREMENT))


def _event(release: str, row: Mapping[str, Any], valid_cm2: float | None, licence: str) -> dict[str, Any]:
    year = "" if row["year"] is None else str(row["year"])
    return {
        "eventID": f"{release}:{row['image_id']}",
        "eventDate": year,
        "year": year,
        "locality": row["site"] or "",
        "locationID": "/".join(str(row[key]) for key in ("site", "quadrat") if row[key]),
        "samplingProtocol": _PROTOCOL,
        "sampleSizeValue": "" if valid_cm2 is None else f"{valid_cm2 / 10_000:.6f}",
        "sampleSizeUnit": "square metre",
        "samplingEffort": f"1 quadrat of {row['frame_cm']:g} x {row['frame_cm']:g} cm",
        "datasetName": release,
        "license": licence,
    }


def dwca_head(columns: Sequence[str]) -> bytes:
    """The first line of a table."""
    return ("\t".join(columns) + "\n").encode()


def _lines(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> bytes:
    return "".join("\t".join(_field(row[name]) for name in columns) + "\n" for row in rows).encode("utf-8", "replace")


def _field(value: Any) -> str:
    return " ".join(str(value).split())


def dwca_meta() -> bytes:
    """``meta.xml``: which file holds what."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<archive xmlns="http://rs.tdwg.org/dwc/text/" metadata="eml.xml">\n'
        + _table("core", f"{_DWC}Event", "event.txt", EVENT, _DWC)
        + _table("extension", f"{_DWC}Occurrence", "occurrence.txt", OCCURRENCE, _DWC)
        + _table(
            "extension",
            "http://rs.iobis.org/obis/terms/ExtendedMeasurementOrFact",
            "extendedmeasurementorfact.txt",
            MEASUREMENT,
            _DWC,
        )
        + "</archive>\n"
    ).encode()


def _table(tag: str, row_type: str, file: str, columns: Sequence[str], terms: str) -> str:
    key = "id" if tag == "core" else "coreid"
    fields = "".join(
        f'    <field index="{i}" term="{_term(name, terms)}"/>\n'
        for i, name in enumerate(columns)
        if i or tag == "core"
    )
    return (
        f'  <{tag} encoding="UTF-8" fieldsTerminatedBy="\\t" linesTerminatedBy="\\n" fieldsEnclosedBy="" '
        f'ignoreHeaderLines="1" rowType="{row_type}">\n    <files><location>{file}</location></files>\n'
        f'    <{key} index="0"/>\n{fields}  </{tag}>\n'
    )


def _term(name: str, terms: str) -> str:
    return f"http://purl.org/dc/terms/{name}" if name == "license" else terms + name


@dataclass(frozen=True, slots=True)
class People:
    """Who is named with the data; where nobody is, the archive says that the citation does."""

    creators: Sequence[Person] = ()
    contact: Person | None = None


def dwca_eml(
    name: str, title: str, abstract: str, licence: str, citation: str | None, people: People | None = None
) -> bytes:
    """``eml.xml`` (EML 2.1.1, GBIF's profile): title, people, abstract, how the data were made, licence, citation."""
    named = people or People()
    contact = named.contact or (named.creators[0] if named.creators else None)
    creators = "".join(_party("creator", person) for person in named.creators) or _party("creator", None)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<eml:eml xmlns:eml="eml://ecoinformatics.org/eml-2.1.1" '
        f'packageId="{_text(name)}" system="reefline" scope="system" xml:lang="en">\n'
        f"  <dataset>\n    <title>{_text(title)}</title>\n{creators}{_party('metadataProvider', contact)}"
        f"    <language>en</language>\n    <abstract><para>{_text(abstract)}</para></abstract>\n"
        f"    <keywordSet>{''.join(f'<keyword>{word}</keyword>' for word in _KEYWORDS)}"
        "<keywordThesaurus>n/a</keywordThesaurus></keywordSet>\n"
        f"    <intellectualRights><para>{_text(licence)}</para></intellectualRights>\n{_party('contact', contact)}"
        f"    <methods><methodStep><description><para>{_PROTOCOL}; {_METHOD}</para></description></methodStep>"
        "</methods>\n  </dataset>\n"
        f"  <additionalMetadata><metadata><gbif><citation>{_text(citation or name)}</citation></gbif></metadata>"
        "</additionalMetadata>\n</eml:eml>\n"
    ).encode("utf-8", "replace")


_KEYWORDS = ("coral", "coral cover", "photo quadrat")


def _party(tag: str, person: Person | None) -> str:
    """Somebody as EML has people; its schema fixes the order of the parts."""
    if person is None:
        inside = "<organizationName>see citation</organizationName>"
    else:
        given = f"<givenName>{_text(person.given)}</givenName>" if person.given else ""
        inside = f"<individualName>{given}<surName>{_text(person.family)}</surName></individualName>"
        if person.organization:
            inside += f"<organizationName>{_text(person.organization)}</organizationName>"
        if person.email:
            inside += f"<electronicMailAddress>{_text(person.email)}</electronicMailAddress>"
        if person.orcid:
            inside += f'<userId directory="https://orcid.org/">{person.orcid}</userId>'
    return f"    <{tag}>{inside}</{tag}>\n"


def _text(text: str) -> str:
    """Text as XML takes it: characters that it has no way to write are left out."""
    kept = "".join(c for c in text if c in "\t\n\r" or c >= " ")
    return escape(kept, {'"': "&quot;"})
