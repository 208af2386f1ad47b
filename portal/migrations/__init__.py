"""Schema changes, run from code under an advisory lock; see ``runner`` for the verbs and ``rows`` for row security."""
