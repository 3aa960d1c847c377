"""The reference of the command line says what the commands say: generated, committed, compared."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from reference import SHIPPED

from vfioctl.cli.reference import man, markdown
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

## Examples

What each command wrote on a simulated host, with one item of each list.

{examples}
"""


def recorded(kind: str) -> dict[str, object]:
    """What the tests of the command line recorded of each command, by its name."""
    parts = (json.loads((GOLDENS / f"json_{name}.json").read_text()) for name in (kind, f"{kind}_nodes"))
    return dict(sorted(item for part in parts for item in part.items()))


def json_page() -> str:
    examples = recorded("examples")
    shown = (
        f"### {name}\n\n```json\n{json.dumps(one, indent=2, ensure_ascii=False)}\n```" for name, one in examples.items()
    )
    return JSON.format(shapes=json.dumps(recorded("shapes"), indent=2) + "\n", examples="\n\n".join(shown))


PAGES = {
    "reference/cli.md": lambda: markdown(VERBS), "man/vfioctl.1": lambda: man(VERBS), "reference/json.md": json_page,
}  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_the_committed_page_is_the_generated_one(name: str, request: pytest.FixtureRequest) -> None:
    page = DOCS / name
    if request.config.getoption("--regenerate"):
        page.parent.mkdir(exist_ok=True)
        page.write_text(PAGES[name]())
    assert page.read_text() == PAGES[name](), f"{name} differs; look at it, then: pytest tests/contract --regenerate"


@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed")
def test_the_man_page_formats_without_a_complaint() -> None:
    ended = subprocess.run(
        ["groff", "-man", "-Tascii", "-ww", "-z"], input=man(VERBS), capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
