"""Text: a sentence per line, words with white space between them."""

from __future__ import annotations

from pathlib import Path

from pyro_vae.datasets.rows import Rows
from pyro_vae.errors import DataError
from pyro_vae.vae.vocabulary import Vocabulary


def read_text(path: Path, vocabulary: Vocabulary | None = None, max_length: int | None = None) -> Rows:
    """Sentences as numbers ``[N, T]``; T is the longest with its end, or ``max_length``. Empty lines are left out.

    Without a ``vocabulary``, one is made of the words that are there. Raises :class:`~pyro_vae.errors.DataError` naming
    file and line: of a word that is not in the vocabulary, of more words than fit.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is no text in UTF-8 ({error}).") from error
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise DataError(f"{path}: is empty. Expected one sentence per line.")
    places, sentences = [number for number, _ in lines], [line for _, line in lines]
    words = Vocabulary.of(sentences) if vocabulary is None else vocabulary
    try:
        x = words.encode(sentences, max_length)
    except DataError as error:
        if error.row is None:
            raise
        said = str(error).removeprefix(f"Sentence {error.row}: ").removeprefix(f"Sentence {error.row} ")
        raise DataError(f"{path}, line {places[error.row]}: {said}", error.row) from error
    return Rows(x, "sentences", vocabulary=words, source=str(path), places=places, placed=", line ")
