"""CHANGES: steps, plan, journal and engine. What a step does to the machine stands in kinds/."""
