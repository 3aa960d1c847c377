"""Distributions of plugins as pip lays them out, in a directory of one test."""

from __future__ import annotations

from pathlib import Path

METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\nSummary: {summary}\n"


def distribution(
    site: Path, name: str, files: dict[str, str], entry_points: str, *, summary: str = "A plugin of a test."
) -> None:
    """Install the distribution `name` in `site`: its `files` by path, and its entry_points.txt."""
    for path, text in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text)
    info = site / f"{name.replace('-', '_')}-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(METADATA.format(name=name, summary=summary))
    (info / "entry_points.txt").write_text(entry_points)
