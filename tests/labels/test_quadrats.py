"""Names of photo quadrats as field teams write them, and picture names that survive any program."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labels.quadrats import MAX_NAME, QuadratName, parse_quadrat_name, safe_name

SITES = {"MooreaE2B": "Moorea Entre 2 Baies"}
IMAGE_ID = "0123456789abcdef"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Tikehau_2023_15.jpg", ("Tikehau", 2023, "15")),
        ("Tikehau_15_2023.jpg", ("Tikehau", 2023, "15")),
        ("Tetiaroa_1994_01.jpg", ("Tetiaroa", 1994, "1")),
        ("Mangareva_2017_01.png", ("Mangareva", 2017, "1")),
        ("MooreaE2B_2020_05.JPEG", ("MooreaE2B", 2020, "5")),
        ("entre_2_baies_2020_05.jpg", ("entre_2_baies", 2020, "5")),
        ("cap-des-pins_nord_2020_12b.jpg", ("cap-des-pins_nord", 2020, "12b")),
        ("récif_été_2021_7.heic", ("récif_été", 2021, "7")),
        ("Site_1999_2001.jpg", ("Site", 1999, "2001")),
        ("mcr_lter1_fringingreef_pole1-2_qu1_20080415.jpg", ("mcr_lter1_fringingreef_pole1-2", 2008, "1")),
        ("batch/moorea/Tikehau_2023_Q07.jpg", ("Tikehau", 2023, "7")),
        ("C:\\photos\\Tikehau_2023_A3.jpg", ("Tikehau", 2023, "A3")),
        ("Tikehau_2023_15", ("Tikehau", 2023, "15")),
    ],
)
def test_names_of_the_field_are_read(name, expected):
    assert parse_quadrat_name(name) == (QuadratName(*expected), None)


@pytest.mark.parametrize("name", ["IMG_1234.jpg", "DSC01234.JPG", "", ".jpg", "Tikehau_2023.jpg", "Tikehau_1890_15.jpg",
                                  "2023_15.jpg", "Tikehau_20081599_1.jpg", "_" * 5000])  # fmt: skip
def test_other_names_give_a_reason_and_no_guess(name):
    parsed, reason = parse_quadrat_name(name)
    assert parsed is None
    assert "does not fit" in reason
    assert len(reason) < 400


def test_site_codes_become_names_and_unknown_codes_are_remarked_on():
    assert parse_quadrat_name("mooreae2b_2020_05.jpg", sites=SITES) == (
        QuadratName("Moorea Entre 2 Baies", 2020, "5"),
        None,
    )
    parsed, remark = parse_quadrat_name("Tikehau_2020_05.jpg", sites=SITES)
    assert parsed.site == "Tikehau"
    assert "not among names.sites" in remark


def test_a_survey_can_have_a_pattern_of_its_own():
    pattern = "{date}-{any}-{site}.q{quadrat}"
    parsed, _ = parse_quadrat_name("20240131-canon-Nord.q3.jpg", pattern)
    assert parsed == QuadratName("Nord", 2024, "3")
    assert parse_quadrat_name("Nord_2024_3.jpg", pattern)[0] is None


@given(
    st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,8}([_-][A-Za-z]{1,6}){0,3}", fullmatch=True),
    st.integers(1950, 2100),
    st.integers(0, 1949),
)
def test_both_orders_of_year_and_quadrat_mean_the_same(site, year, quadrat):
    one = parse_quadrat_name(f"{site}_{year}_{quadrat:02d}.jpg")
    other = parse_quadrat_name(f"{site}_{quadrat:02d}_{year}.jpg")
    assert one == other == (QuadratName(site, year, str(quadrat)), None)


@given(st.text(max_size=300))
def test_any_name_gives_a_quadrat_or_a_reason(name):
    parsed, reason = parse_quadrat_name(name, sites=SITES)
    assert (parsed is None) <= (reason is not None)


@given(st.text(max_size=400), st.from_regex(r"[0-9a-f]{16}", fullmatch=True), st.sampled_from(["jpg", ".PNG", "", "é"]))
def test_safe_names_are_safe_short_and_hold_the_image_id(original, image_id, ext):
    name = safe_name(original, image_id, ext)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*\.[a-z0-9]{1,5}", name)
    assert len(name) <= MAX_NAME
    assert image_id in name


@pytest.mark.parametrize(
    ("original", "expected"),
    [
        ("Tikehau_2023_15.jpg", f"Tikehau_2023_15__{IMAGE_ID}.jpg"),
        ("../../etc/passwd", f"passwd__{IMAGE_ID}.jpg"),
        ("récif n° 7 (été).jpg", f"recif_n_7_ete__{IMAGE_ID}.jpg"),
        ("..", f"{IMAGE_ID}.jpg"),
        ("", f"{IMAGE_ID}.jpg"),
        ("caf\udce9.jpg", f"caf__{IMAGE_ID}.jpg"),
        ("a\\b\\pole1-2.tif", f"pole1-2__{IMAGE_ID}.jpg"),
    ],
)
def test_safe_names_keep_what_people_recognise(original, expected):
    assert safe_name(original, IMAGE_ID, "jpg") == expected


def test_two_photos_of_the_same_name_get_different_safe_names():
    assert safe_name("a.jpg", "0" * 16, "jpg") != safe_name("a.jpg", "1" * 16, "jpg")
    assert safe_name("x" * 300 + "1.jpg", "0" * 16, "jpg") != safe_name("x" * 300 + "2.jpg", "1" * 16, "jpg")
