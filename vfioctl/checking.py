"""`TYPE_CHECKING` without `typing`, whose import costs a hook 4 ms. mypy and ruff know it by its name."""

TYPE_CHECKING = False  # guards imports that only a type checker reads
