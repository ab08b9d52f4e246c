"""``python -m flows`` is ``oodl``."""

from flows.cli import main

main()
