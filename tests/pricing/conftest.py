"""Property tests: the same examples every time, unless HYPOTHESIS_PROFILE=soak asks for many new ones."""

import os

from hypothesis import settings

settings.register_profile("default", derandomize=True, max_examples=50, deadline=None, database=None)
settings.register_profile("soak", derandomize=False, max_examples=5_000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
