"""What all tests share: how many examples hypothesis tries, chosen with --hypothesis-profile (dev, ci, all)."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

SLOW_IS_FINE = (HealthCheck.too_slow, HealthCheck.function_scoped_fixture)

settings.register_profile("dev", max_examples=200, deadline=None, suppress_health_check=SLOW_IS_FINE)
settings.register_profile("ci", max_examples=2_000, deadline=None, suppress_health_check=SLOW_IS_FINE)
settings.register_profile("all", max_examples=100_000, deadline=None, suppress_health_check=SLOW_IS_FINE)
settings.load_profile("ci" if os.environ.get("CI") else "dev")
