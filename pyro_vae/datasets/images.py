"""A folder of images, ``.png`` and ``.jpg``: all of one size, grey or in colour; folders in it are labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from pyro_vae.datasets.rows import Rows, numbered
from pyro_vae.errors import DataError, OptionError

ENDINGS = (".png", ".jpg", ".jpeg")
_GREY = ("1", "L", "I", "I;16", "I;16B", "F", "LA")


def read_images(
    folder: Path, image_size: int | None = None, channels: int | None = None, names: tuple[str, ...] = ()
) -> Rows:
    """Images ``[N, C, H, W]`` between 0 and 1, in the order of their names: C is 1 if all of them are grey, else 3.

    ``image_size`` resizes every image to a square of that side; ``channels`` makes all grey (1) or coloured (3).
    Where there are images in folders in the folder, these are the labels. Raises
    :class:`~pyro_vae.errors.DataError` naming the file that cannot be read or has another size than the first.
    """
    if image_size is not None and image_size < 1:
        raise OptionError(f"image_size: expected a positive number of pixels, got {image_size}.")
    files = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS and not path.name.startswith(".")
    )
    if not files:
        raise DataError(f"{folder}: has no images. Expected files that end in {', '.join(ENDINGS)}.")
    pixels = [_read(file, image_size) for file in files]
    for file, image in zip(files, pixels, strict=True):
        if image.shape[:2] != pixels[0].shape[:2]:
            (height, width), (tall, wide) = image.shape[:2], pixels[0].shape[:2]
            raise DataError(
                f"{file}: has {width} x {height} pixels, and {files[0].name} {wide} x {tall}. "
                "All must be of one size: --image-size 28 makes them 28 x 28."
            )
    wanted = channels or max(image.shape[2] for image in pixels)
    x = torch.from_numpy(np.stack([_channels(image, wanted) for image in pixels]))
    x = x.movedim(-1, 1).to(torch.get_default_dtype())
    parents = [str(file.relative_to(folder).parent) for file in files]
    labels, known = (None, ()) if set(parents) == {"."} else numbered(parents, names)
    return Rows(
        x.contiguous(),
        "images",
        image=tuple(x.shape[1:]),  # type: ignore[arg-type]
        labels=labels,
        label_names=known,
        source=str(folder),
        places=[str(file.relative_to(folder)) for file in files],
        placed="/",
    )


def _read(file: Path, side: int | None) -> np.ndarray:
    """One image ``[H, W, 1 or 3]`` between 0 and 1."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as image:
            grey, deep = image.mode in _GREY, image.mode in ("I", "I;16", "I;16B", "F")
            plain = image.convert("F" if deep else "L" if grey else "RGB")
            most = 65535 if deep else 255
            if side is not None and plain.size != (side, side):
                plain = plain.resize(
                    (side, side), Image.Resampling.BOX if min(plain.size) > side else Image.Resampling.BILINEAR
                )
            return np.asarray(plain, dtype=np.float64).reshape(plain.height, plain.width, -1) / most
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{file}: cannot be read as an image ({error}).") from error


def _channels(image: np.ndarray, wanted: int) -> np.ndarray:
    if image.shape[2] == wanted:
        return image
    if wanted == 3:
        return np.repeat(image, 3, axis=2)
    return image @ np.array([[0.299], [0.587], [0.114]])  # the luma of ITU-R BT.601, as pillow's "L"
