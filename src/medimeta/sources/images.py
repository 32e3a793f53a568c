"""Decode the bytes of an original image, whole and within bounds, or say which one does not decode."""

from __future__ import annotations

import io
import warnings

from PIL import Image, ImageFile, UnidentifiedImageError

from medimeta.errors import DamagedSourceError

FORMATS = ("PNG", "JPEG", "TIFF")  # of the originals; others would start Ghostscript or rarely used decoders
MAX_PIXELS = 100_000_000  # the largest original is a mammogram of about 40 megapixels
SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")


def is_image(member: str) -> bool:
    """Whether a member is called like an image file; hidden ones are not.

    Examples
    --------
    >>> is_image("NEL/NEL025.JPG"), is_image("neutrophil/.DS_169665.jpg"), is_image("readme.txt")
    (True, False, False)
    """
    name = member.rpartition("/")[2].casefold()
    return name.endswith(SUFFIXES) and not name.startswith(".")


def without_suffix(name: str) -> str:
    """Return a name without the extension of an image file, where it has one.

    Examples
    --------
    >>> without_suffix("NEL/NEL025.JPG"), without_suffix("1.0_Original_Fundus_Images")
    ('NEL/NEL025', '1.0_Original_Fundus_Images')
    """
    suffix = next((suffix for suffix in SUFFIXES if name.casefold().endswith(suffix)), "")
    return name[: len(name) - len(suffix)]


def decode(data: bytes, where: str) -> Image.Image:
    """Decode an image completely.

    Parameters
    ----------
    data : bytes
        An image file in any format that Pillow reads.
    where : str
        The image's place, for messages.

    Returns
    -------
    PIL.Image.Image
        The loaded image, in the mode of the file.

    Raises
    ------
    DamagedSourceError
        The bytes are no image, stop short, would be larger than any original is, or would lose half of their bits.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd TIFF tags and Pillow's own size warning: both are judged here
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise DamagedSourceError(
                    f"{where}: is {width}x{height} pixels, more than the {MAX_PIXELS:,} that an original may have."
                )
            _refuse_cut_bits(image, where)
            image.load()
    except UnidentifiedImageError:
        raise DamagedSourceError(f"{where}: is not an image that can be read ({len(data):,} bytes).") from None
    except Image.DecompressionBombError as error:
        raise DamagedSourceError(f"{where}: is too large to be an original ({error}).") from None
    except (OSError, ValueError, SyntaxError, EOFError, TypeError, IndexError, MemoryError) as error:
        # Pillow's decoders raise all of these on damaged files.
        raise DamagedSourceError(f"{where}: does not decode ({error}; {len(data):,} bytes).") from error
    return image


def _refuse_cut_bits(image: ImageFile.ImageFile, where: str) -> None:
    """Refuse colours of 16 bits a channel, of which Pillow would keep 8 without a word; grey ones have a mode."""
    stored = str(image.tile[0][3]) if image.tile else ""
    if ";16" in stored and image.mode in ("LA", "RGB", "RGBA"):
        raise DamagedSourceError(
            f"{where}: has 16 bits a channel; expected 8. Check that this is the original download."
        )
