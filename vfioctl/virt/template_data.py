"""What is written down of a template beside its image: one strict form, in JSON, which every YAML reader reads too."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from vfioctl.errors import Refused, VfioctlError
from vfioctl.frozen import frozen

if TYPE_CHECKING:
    from typing import Any

SUFFIX = ".metadata.yaml"
LARGEST = 64 << 10  # bytes
TEXTS = ("name", "uuid", "type", "created", "image", "format", "sha256", "os", "source", "description")
LATER_TEXTS = ("updated", "storage")  # earlier records have none of these, nor features
LISTS = ("features", "tags")
KEYS = (*TEXTS[:4], "updated", "storage", *TEXTS[4:], "size", *LISTS)


@frozen
class TemplateData:
    """A template: `image` is the volume with its content, of `size` bytes for a guest, `sha256` of the image's file.

    `type` is disk; `created` and `updated` moments in UTC: of its first version, and of this one; `storage` the pool
    that it was made in; `source` what it was made of; `os`, `features` (what the system in it has, as cloud-init),
    `description` and `tags` are words of whoever made it.
    """

    name: str
    uuid: str
    created: str
    image: str
    format: str
    size: int
    sha256: str
    source: str
    os: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    type: str = "disk"
    updated: str = ""
    storage: str = ""
    features: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """The volume that it is written down in."""
        return f"{self.name}{SUFFIX}"

    def document(self) -> bytes:
        """The content of that."""
        data = {key: getattr(self, key) for key in KEYS}
        return json.dumps(data, indent=2, ensure_ascii=False).encode() + b"\n"


def read(content: bytes, where: str) -> TemplateData:
    """The template that `content`, the file `where`, describes. Raises VfioctlError("template.damaged")."""
    if len(content) > LARGEST:
        raise _damaged(where, f"it is larger than {LARGEST >> 10} KiB")
    try:
        data = json.loads(content.decode(), object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise _damaged(where, f"line {error.lineno} is not JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise _damaged(where, str(error)) from error
    return _checked(data, where)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"the key {twice!r} is there twice")
    return dict(pairs)


def _checked(data: Any, where: str) -> TemplateData:
    if not isinstance(data, dict):
        raise _damaged(where, "it is no object")
    if strange := sorted(data.keys() - set(KEYS)):
        raise _damaged(where, f"it has the unknown key {strange[0]!r}")
    data = {**dict.fromkeys(LATER_TEXTS, ""), "features": [], **data}
    if missing := [key for key in KEYS if key not in data]:
        raise _damaged(where, f"the key {missing[0]!r} is missing")
    if wrong := next((key for key in (*TEXTS, *LATER_TEXTS) if not isinstance(data[key], str)), None):
        raise _damaged(where, f"{wrong} is {data[wrong]!r}, not a text")
    if type(data["size"]) is not int or data["size"] <= 0:
        raise _damaged(where, f"size is {data['size']!r}, not a number of bytes")
    for key in LISTS:
        if not isinstance(data[key], list) or not all(isinstance(one, str) for one in data[key]):
            raise _damaged(where, f"{key} is no list of texts")
    return TemplateData(**{**data, **{key: tuple(data[key]) for key in LISTS}})


def _damaged(where: str, why: str) -> VfioctlError:
    hint = "Correct it, or remove it together with its image, by: vfioctl volume delete POOL NAME"
    return Refused("template.damaged", f"{where} cannot be used: {why}.", state="Nothing was changed.", hints=(hint,))
