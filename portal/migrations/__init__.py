"""Schema changes, run from code: ``runner`` has the verbs, ``rows`` row security, ``check`` the questions."""
