"""The description of a Darwin Core Archive: the people of the survey file, as XML that every reader takes."""

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from labels.formats.dwca import People, dwca_eml
from labels.survey import SurveyError, parse_survey
from labels.survey_model import Person

ANN = Person(family="Müller", given="Ann", organization="CRIOBE", email="ann@example.org", orcid="0000-0002-1825-0097")
BOB = Person(family="O'Hara & Sons")


def dataset(*people, contact=None, **more):
    given = {"name": "reef-1", "title": "Reef", "abstract": "", "licence": "CC0-1.0", "citation": None, **more}
    return ElementTree.fromstring(dwca_eml(**given, people=People(people, contact))).find("dataset")


def test_creators_stand_in_the_order_of_the_citation_with_all_that_is_known_of_them():
    found = dataset(ANN, BOB)
    assert [c.findtext("individualName/surName") for c in found.findall("creator")] == ["Müller", "O'Hara & Sons"]
    first = found.find("creator")
    assert [part.tag for part in first] == ["individualName", "organizationName", "electronicMailAddress", "userId"]
    assert first.findtext("individualName/givenName") == "Ann"
    assert first.find("userId").attrib == {"directory": "https://orcid.org/"}


def test_the_contact_is_the_first_creator_unless_another_is_named_and_nobody_is_made_up():
    assert dataset(ANN, BOB).findtext("contact/individualName/surName") == "Müller"
    assert dataset(ANN, contact=BOB).findtext("contact/individualName/surName") == "O'Hara & Sons"
    assert dataset().findtext("contact/organizationName") == "see citation"


def test_the_parts_are_in_the_order_that_emls_schema_asks_for():
    order = "title creator metadataProvider language abstract keywordSet intellectualRights contact methods"
    assert [part.tag for part in dataset(ANN)] == order.split()


@given(st.text(), st.text(min_size=1), st.text())
def test_any_text_gives_xml_that_can_be_read(title, name, citation):
    text = dwca_eml("reef-1", title, "", "CC0-1.0", citation, People((Person.model_construct(
        family=name, given=None, organization=None, email=None, orcid=None
    ),)))  # fmt: skip
    assert ElementTree.fromstring(text).find("dataset/contact") is not None


def test_people_of_a_survey_file_are_checked():
    text = "name: reef\nphotos: {folder: x}\nrelease:\n  creators:\n    - {family: Doe, orcid: 0000-0002-1825-0097}\n"
    survey = parse_survey(text, "reef.yaml")
    assert survey.release.creators[0].name == "Doe"
    for wrong in ("email: nowhere", "orcid: '12'", "surname: Doe"):
        try:
            parse_survey(text.replace("orcid: 0000-0002-1825-0097", wrong), "reef.yaml")
        except SurveyError as error:
            assert "release.creators.0" in str(error)
        else:
            raise AssertionError(wrong)
