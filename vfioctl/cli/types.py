"""The arguments of commands that name something, so that a shell can complete them. Looks nothing up itself."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from typing import cast

import click
from click.shell_completion import CompletionItem

Names = Callable[[click.Context], Iterable[str]]


class Named(click.ParamType[str]):
    """A word that names something; `source` is the function of cli/complete.py that lists what there is."""

    name = "text"  # as it is shown in the help

    def __init__(self, source: str) -> None:
        self.source = source

    def shell_complete(self, ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """What there is and begins so. A completion never fails: nobody could see why."""
        names = cast("Names", getattr(importlib.import_module("vfioctl.cli.complete"), self.source))
        try:
            return [CompletionItem(name) for name in names(ctx) if name.startswith(incomplete)]
        except Exception:  # noqa: BLE001 -- whatever it is, the command itself will say it
            return []


class Address(Named):
    """A PCI address, given on as DDDD:BB:DD.F; the forms of lspci and nvidia-smi are taken too."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from vfioctl.config.schema import PCI_ADDRESS, Setting, WrongValue, pci_address

        try:
            return pci_address(value, Setting("address", "str", "", "", form="pci"))
        except WrongValue:
            wrong = f"expected {PCI_ADDRESS}, found {value!r}."
            raise click.BadParameter(wrong, ctx, param, param_hint="ADDRESS") from None


class Label(click.ParamType[tuple[str, str]]):
    """A label of a node: KEY=VALUE."""

    name = "text"

    def convert(
        self, value: str | tuple[str, str], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        key, equals, text = value.partition("=")
        if not (key.strip() and equals):
            self.fail(f"expected KEY=VALUE, found {value!r}.", param, ctx)
        return key.strip(), text


GUEST = Named("guests")
MANAGED = Named("managed")
RECOVERABLE = Named("recoverable")
OPERATION = Named("operations")
SETTING = Named("settings_of")
VALUE = Named("values")
ITEM = Named("items")
ADDRESS = Address("addresses")
RECORD = Named("records")
NODE = Named("nodes")
LABEL = Label()

xml_option = click.option(
    "--xml", type=click.Path(allow_dash=True), metavar="FILE",
    help="Read the domain from FILE (- for standard input), not from libvirt.",
)  # fmt: skip
