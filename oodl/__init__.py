"""Online orthogonal dictionary learning: the learner and the group step, numpy only."""

from oodl.dictionary import OnlineDictionary

__all__ = ["OnlineDictionary", "__version__"]

__version__ = "0.1.0"
