"""The reference of the command line says what the commands say: generated, committed, compared."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from functools import partial
from pathlib import Path

import json_page
import pytest
from reference import SHIPPED

from vfioctl.cli.man import pages
from vfioctl.cli.reference import markdown, verbs
from vfioctl.verbs.merged import merged
from vfioctl.verbs.table import BUILT_IN

VERBS = merged(BUILT_IN, SHIPPED.rows, SHIPPED.groups)[0]
DOCS = Path(__file__).parents[2] / "docs"
GOLDENS = Path(__file__).parents[1] / "cli/goldens"
JSON = """# JSON

<!-- Generated: pytest tests/contract/test_cli_reference.py --regenerate -->

With `--format json` each command writes one object to standard output and nothing else:

```
{{
  "version": 1,
  "command": "gpu list",
  "data": {{}},
  "messages": [{{"level": "info", "text": "", "code": "", "hint": ""}}],
  "errors": [{{"code": "", "message": "", "state": "", "hints": [""]}}]
}}
```

`version` changes when a key is removed or changes its meaning; keys may be added. `level` is `info` or `warning`.
`errors` is empty exactly when the exit status is 0. Codes are listed in [errors.md](errors.md).

## `data` by command

Types are Python's names of JSON's: `str`, `int`, `float`, `bool`, `NoneType` for null. `object` holds what each kind
of step defines. An empty list had no item on the machine on which this was recorded.

```
{shapes}```

## Verbs of plugins

{plugins}

## What verbs have alike

{shared}

## Examples

What each command wrote on a simulated host, with one item of each list.

{examples}
"""


def recorded(kind: str) -> dict[str, object]:
    """What the tests of the command line recorded of each command, by its name."""
    parts = (json.loads((GOLDENS / f"json_{name}.json").read_text()) for name in (kind, f"{kind}_nodes"))
    return dict(sorted(item for part in parts for item in part.items()))


def json_of_commands() -> str:
    examples = recorded("examples")
    shown = (
        f"### {name}\n\n```json\n{json.dumps(one, indent=2, ensure_ascii=False)}\n```" for name, one in examples.items()
    )
    return JSON.format(
        shapes=json.dumps(recorded("shapes"), indent=2) + "\n", examples="\n\n".join(shown),
        plugins="\n".join(json_page.links()), shared=json_page.shared_sections(),
    )  # fmt: skip


MAN = {f"man/{name}.1": text for name, text in pages(VERBS).items()}
PAGES = {
    "reference/cli.md": lambda: markdown(VERBS), "reference/json.md": json_of_commands,
    **{name: partial(MAN.__getitem__, name) for name in MAN},
}  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_the_committed_page_is_the_generated_one(name: str, request: pytest.FixtureRequest) -> None:
    page = DOCS / name
    if request.config.getoption("--regenerate"):
        page.parent.mkdir(exist_ok=True)
        page.write_text(PAGES[name]())
    assert page.read_text() == PAGES[name](), f"{name} differs; look at it, then: pytest tests/contract --regenerate"


def test_there_is_a_man_page_of_each_group_and_none_besides() -> None:
    groups = {row.name.split()[0] for row in VERBS.rows if " " in row.name}
    assert {f"man/{page.name}" for page in (DOCS / "man").iterdir()} == set(MAN)
    assert set(MAN) == {"man/vfioctl.1", *(f"man/vfioctl-{group}.1" for group in groups)}


def test_every_command_stands_in_one_man_page() -> None:
    text = "".join(MAN.values())
    shown = [verb.usage.strip().replace("-", "\\-") for verb in verbs(VERBS)]
    assert [usage for usage in shown if text.count(f".SS {usage}\n") != 1] == []


@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed")
@pytest.mark.parametrize("name", MAN)
def test_a_man_page_formats_without_a_complaint(name: str) -> None:
    ended = subprocess.run(
        ["groff", "-man", "-Tascii", "-ww", "-z"], input=MAN[name], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.skipif(not shutil.which("man"), reason="man-db is not installed")
@pytest.mark.parametrize("name", MAN)
def test_man_shows_the_page_with_its_name_and_no_warning(name: str) -> None:
    ended = subprocess.run(
        ["man", "--warnings=w", "-l", str(DOCS / name)], capture_output=True, text=True, check=False,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "MANWIDTH": "200", "MANROFFOPT": "-c"},
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    assert f"{Path(name).stem} - " in ended.stdout
