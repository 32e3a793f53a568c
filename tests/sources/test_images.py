"""Images decode whole and within bounds, or are named."""

import io
import zlib

import pytest
from PIL import EpsImagePlugin, Image

from medimeta.errors import DamagedSourceError
from medimeta.sources import images
from medimeta.sources.images import decode

Image.init()  # so that Image.SAVE is whole
PICTURE = Image.effect_noise((13, 9), 60).convert("RGB")


def encoded(kind: str, image: Image.Image = PICTURE) -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def png_of_size(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])
    data = zlib.compress(bytes(100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG"])
def test_images_decode_in_the_mode_of_the_file(kind):
    image = decode(encoded(kind), "here")
    assert (image.mode, image.size) == ("RGB", (13, 9))
    assert kind == "JPEG" or image.tobytes() == PICTURE.tobytes()


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_an_image_that_stops_half_way_is_named(kind, share):
    data = encoded(kind)
    data = data[: int(share * len(data))]
    with pytest.raises(DamagedSourceError, match=rf"a/b\.png: does not decode \(.*; {len(data)} bytes\)"):
        decode(data, "a/b.png")


@pytest.mark.parametrize("data", [b"", b"a table, perhaps", b"\x00\x00\x00\x01Bud1"], ids=["empty", "text", "DS_Store"])
def test_what_is_no_image_is_named(data):
    with pytest.raises(DamagedSourceError, match=rf"a\.png: is not an image that can be read \({len(data)} bytes\)"):
        decode(data, "a.png")


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((60_000, 60_000), "is too large to be an original"),
        ((11_000, 11_000), "is 11000x11000 pixels, more than the 100,000,000 that an original may have"),
    ],
)
def test_a_decompression_bomb_is_refused_before_it_is_decoded(size, message):
    with pytest.raises(DamagedSourceError, match=f"a.png: {message}"):
        decode(png_of_size(*size), "a.png")


def test_the_bound_of_pixels_is_inclusive(monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 13 * 9)
    assert decode(encoded("PNG"), "a.png").size == (13, 9)
    monkeypatch.setattr(images, "MAX_PIXELS", 13 * 9 - 1)
    with pytest.raises(DamagedSourceError):
        decode(encoded("PNG"), "a.png")


@pytest.mark.parametrize(
    "kind",
    ["PNG", "JPEG", pytest.param("AVIF", marks=pytest.mark.skipif("AVIF" not in Image.SAVE, reason="no AVIF here"))],
)
def test_whatever_byte_of_an_image_is_wrong_the_error_is_ours(kind):
    whole = encoded(kind)
    strange = {}
    for place in range(len(whole)):
        for value in (0x00, 0xFF):
            try:
                decode(whole[:place] + bytes([value]) + whole[place + 1 :], "a.png")
            except DamagedSourceError:
                continue
            except Exception as error:  # noqa: BLE001 - what must not happen
                strange.setdefault(type(error).__name__, (place, value, str(error)))
    assert strange == {}


def test_no_other_program_is_started_for_what_pretends_to_be_an_image(monkeypatch):
    """PostScript is a programming language; Pillow hands it to Ghostscript."""
    started = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *arguments, **_: started.append(arguments) or PICTURE.im)
    with pytest.raises(DamagedSourceError):
        decode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 13 9\n%%EndComments\n", "benign (1).png")
    assert started == []
