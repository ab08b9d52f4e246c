"""The learner as an estimator of scikit-learn or river; ``oodl[sklearn]``, ``oodl[river]``.

The only files of `oodl` that import more than numpy; nothing else imports them.
"""
