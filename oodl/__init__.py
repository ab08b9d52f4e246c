"""Online orthogonal dictionary learning: the learner and the group step, numpy only."""

__version__ = "0.1.0"
