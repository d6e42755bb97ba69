"""Decoding: every corner-case file comes out as it should look, or is refused with a reason."""

import io
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from inference.decode import UndecodableImage, decode

REFUSED = {
    "truncated_jpeg.jpg": "truncated",
    "truncated_image.png": "truncated",
    "broken.png": "damaged PNG",
    "broken_data_stream.png": "damaged",
    "hopper_unknown_pixel_mode.tif": "TIFF",
    "corrupted.heic": "damaged HEIF",
    "truncated.heic": "truncated",
    "empty.heic": "empty",
    "ultrahdr.jpg": "truncated",
    "decompression_bomb.gif": "pixels",
    "png_decompression_dos.png": "too large",
}
WARNED = {
    "hopper_bad_exif.jpg": "EXIF data is damaged",
    "sugarshack_bad_mpo_header.jpg": "multi-picture header is malformed",
    "pil_sample_cmyk.jpg": "CMYK without a colour profile",
    "frozenpond.mpo": "2 pictures",
    "multipage.tiff": "3 pictures",
    "p_trns_single.png": "transparent",
    "pil123rgba.png": "transparent",
}


@pytest.fixture
def cases(shared):
    return shared / "data" / "corner_cases"


def load(cases, name):
    return decode((cases / name).read_bytes())


def difference(a, b):
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


def encode(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def photo(width=64, height=48):
    y, x = np.mgrid[:height, :width]
    return np.dstack([x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height)]).astype(np.uint8)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_corner_case_is_decoded_or_refused_as_expected(cases):
    files = [p for p in cases.rglob("*") if p.is_file() and p.suffix not in {".txt", ".md"}]
    assert len(files) > 60
    for path in files:
        try:
            decoded = decode(path.read_bytes())
        except UndecodableImage as error:
            assert path.name in REFUSED, f"{path.name} refused: {error}"
            assert REFUSED[path.name] in str(error), path.name
            assert "\n" not in str(error)
            continue
        assert path.name not in REFUSED, f"{path.name} should be refused"
        assert decoded.image.dtype == np.uint8, path.name
        assert decoded.image.shape == (decoded.height, decoded.width, 3), path.name
        assert not (decoded.is_plain and decoded.warnings), path.name
        if path.name in WARNED:
            assert any(WARNED[path.name] in line for line in decoded.warnings), path.name


def test_all_eight_orientations_give_the_same_upright_picture(cases):
    upright = load(cases, "exif_orientation/Landscape_1.jpg")
    assert (upright.width, upright.height) == (1800, 1200)
    assert upright.is_plain
    for number in range(2, 9):
        turned = load(cases, f"exif_orientation/Landscape_{number}.jpg")
        assert turned.image.shape == upright.image.shape
        assert difference(turned.image, upright.image) < 6, number
        assert not turned.is_plain


@pytest.mark.parametrize("number", range(2, 9))
def test_hopper_is_upright_whatever_his_orientation(cases, number):
    upright = load(cases, "pillow/hopper.jpg").image
    assert difference(load(cases, f"pillow/hopper_orientation_{number}.jpg").image, upright) < 8


@pytest.mark.parametrize("kind", ["jpg", "webp"])
def test_orientation_counts_in_webp_as_well(cases, kind):
    upright = load(cases, "pillow/hopper.jpg").image
    assert difference(load(cases, f"pillow/hopper_orientation_2.{kind}").image, upright) < 12


def test_orientation_counts_in_png_exif_in_xmp_and_in_avif(cases):
    # The second one also has a wide colour profile (ColorMatch RGB), so its numbers change as well.
    for name, far in (("exif_imagemagick_orientation.png", 3), ("xmp_tags_orientation.png", 20)):
        with Image.open(cases / "pillow" / name) as stored:
            white = Image.new("RGBA", stored.size, "white")
            white.alpha_composite(stored.convert("RGBA"))
        turned = np.asarray(white.convert("RGB"))[::-1, ::-1]
        assert difference(load(cases, f"pillow/{name}").image, turned) < far, name
    one, two = (load(cases, f"pillow/avif/{name}.avif").image for name in ("rot1mir0", "rot2mir0"))
    assert one.shape == two.shape


def test_cmyk_lab_and_sixteen_bit_files_look_like_the_photo_they_were_made_of(cases):
    hopper = load(cases, "pillow/hopper.jpg").image
    assert difference(load(cases, "pillow/hopper.Lab.tif").image, hopper) < 12
    for name in ("hopper_bigtiff.tif", "hopper_lzma.tif", "hopper_jpg.tif"):
        assert difference(load(cases, f"pillow/{name}").image, hopper) < 8, name
    cmyk = load(cases, "pillow/pil_sample_cmyk.jpg").image
    for name in ("tiff_strip_cmyk_jpeg.tif", "tiff_strip_cmyk_16l_jpeg.tif", "truncated_app14.jpg"):
        assert difference(load(cases, f"pillow/{name}").image, cmyk) < 40, name


def test_both_byte_orders_of_sixteen_bits_give_the_same_visible_picture(cases):
    little, big = (load(cases, f"pillow/{name}").image for name in ("16bit.cropped.tif", "16bit.MM.cropped.tif"))
    assert np.array_equal(little, big)
    assert np.ptp(little) > 15
    assert load(cases, "pillow/12in16bit.tif").image.max() > 0


def test_a_wide_colour_profile_changes_the_numbers_and_an_srgb_profile_does_not(cases):
    with Image.open(cases / "pillow" / "xmp_tags_orientation.png") as stored:
        wide = stored.info["icc_profile"]
    converted = decode(encode(Image.fromarray(photo()), icc_profile=wide))
    assert 2 < difference(converted.image, photo()) < 30
    assert not converted.is_plain
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    decoded = decode(encode(Image.fromarray(photo()), icc_profile=srgb))
    assert decoded.is_plain
    assert np.array_equal(decoded.image, photo())


def test_a_truncated_heic_is_refused_wherever_it_was_cut(cases):
    data = (cases / "heif" / "arrow.heic").read_bytes()
    for share in (0.02, 0.3, 0.7, 0.999):
        with pytest.raises(UndecodableImage):
            decode(data[: int(len(data) * share)])


def test_a_truncated_jpeg_is_refused_wherever_it_was_cut(cases):
    data = (cases / "exif_orientation" / "Landscape_1.jpg").read_bytes()
    for share in (0.001, 0.1, 0.5, 0.99):
        with pytest.raises(UndecodableImage):
            decode(data[: int(len(data) * share)])


def test_camera_date_maker_and_place_are_kept(cases):
    exif = load(cases, "heif/empty_icc.heic").exif
    assert exif["datetime"] == "2021-07-06T16:08:14"
    assert (exif["make"], exif["model"]) == ("Apple", "iPhone XS")
    assert exif["gps"] == {"lat": pytest.approx(46.7547, abs=1e-3), "lon": pytest.approx(33.336, abs=1e-3)}


def test_a_plain_jpeg_and_a_plain_png_are_plain_and_others_are_not():
    image = Image.fromarray(photo())
    assert decode(encode(image, "JPEG", quality=95)).is_plain
    assert decode(encode(image)).is_plain
    assert decode(encode(image.convert("L"), "JPEG")).is_plain
    for data in (encode(image, "TIFF"), encode(image.convert("RGBA")), encode(image, "WEBP"), encode(image, "BMP")):
        assert not decode(data).is_plain


def test_plain_pixels_come_through_unchanged():
    for kind in ("PNG", "TIFF", "BMP"):
        assert np.array_equal(decode(encode(Image.fromarray(photo()), kind)).image, photo()), kind


@pytest.mark.parametrize("ext", [".png", ".tiff"])
def test_sixteen_bit_colour_is_divided_by_257(ext):
    deep = photo().astype(np.uint16) * 257
    data = cv2.imencode(ext, deep[..., ::-1])[1].tobytes()
    assert np.array_equal(decode(data).image, photo())


def test_twelve_bits_in_sixteen_are_scaled_by_their_own_range_and_remarked_on():
    grey = (photo()[..., 0].astype(np.uint32) * 4095 // 255).astype(np.uint16)
    decoded = decode(cv2.imencode(".png", grey)[1].tobytes())
    assert difference(decoded.image[..., 0], photo()[..., 0]) <= 1
    assert "12" in decoded.warnings[0]


def test_transparent_pixels_become_white():
    image = Image.new("RGBA", (40, 30), (200, 10, 10, 0))
    image.paste((0, 0, 255, 255), (0, 0, 20, 30))
    decoded = decode(encode(image))
    assert decoded.image[5, 30].tolist() == [255, 255, 255]
    assert decoded.image[5, 5].tolist() == [0, 0, 255]


def test_a_header_that_claims_too_much_is_refused_before_decoding():
    data = encode(Image.new("1", (3000, 2000)))
    with pytest.raises(UndecodableImage, match="3000x2000"):
        decode(data, max_pixels=1_000_000)


def test_what_is_no_picture_says_so():
    for data, words in ((b"", "empty"), (b"hello", "not a picture"), (b"%PDF-1.7 ...", "PDF"), (b"\x00" * 99, "not a")):
        with pytest.raises(UndecodableImage, match=words):
            decode(data)


def test_threads_decode_independently(cases):
    names = [f"exif_orientation/Landscape_{n}.jpg" for n in range(1, 9)]
    with ThreadPoolExecutor(4) as pool:
        pictures = list(pool.map(lambda name: load(cases, name), names))
    assert {p.image.shape for p in pictures} == {(1200, 1800, 3)}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damage_anywhere_gives_a_picture_or_a_reason(data):
    kind = data.draw(st.sampled_from(["JPEG", "PNG", "TIFF", "WEBP", "HEIF", "GIF"]))
    raw = bytearray(encode(Image.fromarray(photo()), kind))
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(1, len(raw)))
    try:
        decoded = decode(bytes(raw[:cut]), max_pixels=4_000_000)
    except UndecodableImage as error:
        assert str(error)
    else:
        assert decoded.image.shape == (decoded.height, decoded.width, 3)
