"""A second decoder, written from the message format alone.

It shares nothing with the learner's own code, so that a document which says something else than
what was meant is found: the content's name, the rebuilt reading and its error are all worked out
again from the fields of the message.
"""

import hashlib
import json

import numpy as np
import numpy.typing as npt

from flows.wire import CodeMessage, DictionaryMessage

__all__ = ["SecondDecoder", "content_id"]

Floats = npt.NDArray[np.float64]


def content_id(document: DictionaryMessage) -> str:
    """Name a dictionary by its content: 16 hex digits of SHA-256."""
    head = [document.channels, document.window, document.usual, document.limit]
    content = json.dumps(head, separators=(",", ":"), ensure_ascii=False).encode()
    content += np.array(document.mean, "<f8").tobytes() + np.array(document.scale, "<f8").tobytes()
    return hashlib.sha256(content + document.dictionary).hexdigest()[:16]


class SecondDecoder:
    """Rebuilds readings of one dictionary document, ``mean + scale * (D x)``, or frames of them.

    A frame is its readings one after another; each has the same mean and scale.

    Parameters
    ----------
    document : DictionaryMessage
        As it was read from the dictionaries topic.
    """

    def __init__(self, document: DictionaryMessage) -> None:
        self._channels, n = len(document.channels), len(document.channels) * document.window
        self._mean = np.array([*document.mean] * document.window)
        self._scale = np.array([*document.scale] * document.window)
        dictionary = np.frombuffer(document.dictionary, "<f4").reshape(n, n)
        self._dictionary = dictionary.astype(np.float64)

    def rebuild(self, code: CodeMessage) -> Floats:
        """Return the reading or frame, NaN where the code says that something is missing."""
        x = np.zeros(len(self._mean))
        x[list(code.atoms)] = code.values
        reading: Floats = self._mean + self._scale * (self._dictionary @ x)
        reading[list(code.missing)] = np.nan
        reading[len(code.times) * self._channels :] = np.nan
        return reading

    def error(self, code: CodeMessage, sent: Floats) -> float:
        """Return the RMS over the values that were sent, in the version's units.

        NaN when the code leaves out one that was sent; 0 when none was.
        """
        present = np.isfinite(sent)
        if not present.any():
            return 0.0
        off = (sent - self.rebuild(code))[present] / self._scale[present]
        return float(np.sqrt(np.mean(off**2)))
