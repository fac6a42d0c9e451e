"""``hemaview models``: which models and adapters there are, whether their files are sound, adding and fetching them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hemaview.commands.exit_codes import EXIT_CODES, ExitCode
from hemaview.commands.parser import Parser
from hemaview.commands.terminal import Progress, interrupt_cancels, say
from hemaview.errors import ModelError

if TYPE_CHECKING:
    from hemaview.segmentation.adapter_store import StoredAdapter
    from hemaview.segmentation.model_store import StoredModel

_HELP = f"""commands:
  list            list the models and check their files (also without a command)
  add FILE        copy a MedSAM or SAM ViT-B checkpoint into the models folder
  download NAME   fetch a model from its origin; goes on where it stopped
  remove NAME     delete the files of a model that did not come with HEMAVIEW
  where           show the folders
  adapters        list, add and remove adapters
  'hemaview models COMMAND --help' tells more.

Only 'download' uses the network. The models folder is the user's own or the one that HEMAVIEW_MODELS names.

{EXIT_CODES}"""


def run(given: list[str]) -> int:
    """List, add, fetch or remove models; exit code 5 when a file of one is missing or altered."""
    commands: dict[str, Callable[[list[str]], int]] = {
        "list": _list,
        "add": _add,
        "download": _download,
        "remove": _remove,
        "where": _where,
        "adapters": _adapters,
    }
    if given and given[0] in commands:
        return commands[given[0]](given[1:])
    return _list(given, Parser("hemaview models", "List the models and check their files.", _HELP))


def _list(given: list[str], parser: Parser | None = None) -> int:
    parser = parser or Parser("hemaview models list", "List the models and check their files.", EXIT_CODES)
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(given)
    from hemaview.segmentation.adapter_store import AdapterStore
    from hemaview.segmentation.model_store import ModelStore

    store, adapters = ModelStore(), AdapterStore().adapters()
    listed = [_describe(store, model, adapters) for model in store.models()]
    if options.json:
        print(json.dumps(listed, indent=2, ensure_ascii=False))
    else:
        for entry in listed:
            print(_lines(entry))
    problems = [*([store.problem] if store.problem else ()), *(p for entry in listed for p in entry["problems"])]
    for problem in problems:
        say(problem)
    return ExitCode.MODEL if problems else ExitCode.OK


def _describe(store: Any, model: StoredModel, adapters: tuple[StoredAdapter, ...]) -> dict[str, Any]:
    """One model as a JSON object; reads its files."""
    from hemaview.segmentation.model_store import ModelState

    record, problems = model.record, []
    if model.is_usable or model.state is ModelState.DAMAGED:
        try:
            store.verify(record.name)
        except ModelError as error:
            problems.append(str(error))
    state = str(ModelState.DAMAGED) if problems else str(model.state)
    return {
        "name": record.name,
        "title": record.title,
        "state": state,
        "installed": model.is_usable,
        "sha256": record.fingerprint,
        "bytes": record.size,
        "arrived_bytes": model.arrived,
        "licence": record.licence,
        "attribution": record.attribution,
        "origin": record.origin,
        "url": next((file.url for file in record.files if file.url), ""),
        "trained_on": record.trained_on,
        "card": str(record.card_path) if record.card else "",
        "files": [str(record.file_path(file)) for file in record.files],
        "adapters": [adapter.name for adapter in adapters if adapter.fits(record)],
        "problems": problems,
    }


def _lines(entry: dict[str, Any]) -> str:
    checked = "" if entry["problems"] or not entry["installed"] else ", files checked"
    lines = [f"{entry['name']}: {entry['title']} ({entry['state']}{checked})"]
    size = f"{entry['bytes'] / 1e6:.1f} MB" if entry["bytes"] < 1e8 else f"{entry['bytes'] / 1e6:.0f} MB"
    if 0 < entry["arrived_bytes"] < entry["bytes"]:
        size += f", {entry['arrived_bytes'] / 1e6:.0f} MB of it have arrived"
    facts = [
        ("sha256", entry["sha256"]),
        ("size", size),
        ("licence", entry["licence"]),
        ("cite", entry["attribution"]),
        ("origin", entry["origin"]),
        ("trained on", entry["trained_on"]),
        ("card", entry["card"]),
        *(("file", file) for file in entry["files"] if entry["installed"]),
        ("adapters", ", ".join(entry["adapters"])),
    ]
    lines += [f"  {name:<11}{value}" for name, value in facts if value]
    if not entry["installed"] and entry["url"]:
        lines.append(f"  {'get it':<11}hemaview models download {entry['name']}, or hemaview models add FILE")
    return "\n".join(lines)


def _add(given: list[str]) -> int:
    parser = Parser(
        "hemaview models add",
        "Copy a checkpoint into the models folder. MedSAM's and SAM's own files are known by their hashes; another "
        "checkpoint of a SAM ViT-B becomes a model of its own. An adapter goes to the adapters.",
        EXIT_CODES,
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="medsam_vit_b.pth, sam_vit_b_01ec64.pth or your own")
    parser.add_argument("--title", default="", help="what to call a checkpoint of your own")
    parser.add_argument("--trained-on", default="", metavar="TEXT", help="what it was trained on")
    parser.add_argument("--licence", default="", metavar="TEXT", help="under which licence it is")
    options = parser.parse_args(given)
    from hemaview.segmentation.adapter_store import AdapterStore, look_at
    from hemaview.segmentation.model_store import ModelStore

    if options.file.is_file() and look_at(options.file).card is not None:
        return _say_adapter(AdapterStore().add(options.file))
    progress = Progress(shown=sys.stderr.isatty())
    try:
        with interrupt_cancels() as token:
            model = ModelStore().add_file(
                options.file,
                title=options.title,
                trained_on=options.trained_on,
                licence=options.licence,
                progress=progress.amount("Copying"),
                cancel=token,
            )
    finally:
        progress.close()
    print(f"{model.record.name}: {model.record.title} is in {model.folder}")
    print(f"Use it with: hemaview segment SCAN --engine {model.record.name} ...")
    return ExitCode.OK


def _download(given: list[str]) -> int:
    parser = Parser(
        "hemaview models download",
        "Fetch a model from its origin into the models folder, checked against its published checksum. A download "
        "that broke off goes on where it stopped.",
        EXIT_CODES,
    )
    parser.add_argument("name", metavar="NAME", help="medsam or sam_vit_b")
    options = parser.parse_args(given)
    from hemaview.segmentation.model_store import ModelStore

    store = ModelStore()
    model = store.model(options.name)
    if model.is_usable:
        store.verify(options.name)
        print(f"{model.record.name}: {model.record.title} is in {model.folder} already; its files were checked")
        return ExitCode.OK
    if model.can_download:
        url = model.record.files[0].url
        say(f"note: {model.record.size / 1e6:.0f} MB from {url}. Licence: {model.record.licence}.")
    progress = Progress(shown=sys.stderr.isatty())
    try:
        with interrupt_cancels() as token:
            model = store.download(options.name, progress=progress.amount("Downloading"), cancel=token)
    finally:
        progress.close()
    print(f"{model.record.name}: {model.record.title} is in {model.folder}")
    return ExitCode.OK


def _remove(given: list[str]) -> int:
    parser = Parser("hemaview models remove", "Delete the files of a model from the models folder.", EXIT_CODES)
    parser.add_argument("name", metavar="NAME")
    options = parser.parse_args(given)
    from hemaview.segmentation.model_store import ModelStore

    ModelStore().remove(options.name)
    print(f"{options.name} is removed")
    return ExitCode.OK


def _where(given: list[str]) -> int:
    Parser("hemaview models where", "Show the folders of models and adapters.", EXIT_CODES).parse_args(given)
    from hemaview.resources import resource_path
    from hemaview.segmentation.adapter_store import AdapterStore
    from hemaview.segmentation.model_store import ModelStore

    print(f"bundled    {resource_path('models')}")
    print(f"own        {ModelStore().folder}")
    print(f"adapters   {AdapterStore().folder}")
    return ExitCode.OK


_ADAPTERS_HELP = f"""commands:
  list         list the adapters (also without a command)
  add FILE     copy an adapter into the folder; refused when its base model is not known
  remove NAME  delete an adapter

{EXIT_CODES}"""


def _adapters(given: list[str]) -> int:
    parser = Parser("hemaview models adapters", "List, add or remove adapters.", _ADAPTERS_HELP)
    parser.add_argument("command", nargs="?", choices=["list", "add", "remove"], default="list")
    parser.add_argument("what", nargs="?", metavar="FILE|NAME")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(given)
    if (options.command == "list") != (options.what is None):
        parser.error("'add' takes a file, 'remove' a name and 'list' nothing")
    from hemaview.segmentation.adapter_store import AdapterStore

    store = AdapterStore()
    if options.command == "add":
        return _say_adapter(store.add(Path(options.what)))
    if options.command == "remove":
        store.remove(options.what)
        print(f"{options.what} is removed")
        return ExitCode.OK
    adapters = store.adapters()
    if options.json:
        print(json.dumps([_describe_adapter(adapter) for adapter in adapters], indent=2, ensure_ascii=False))
    else:
        print("\n".join(_adapter_lines(adapter) for adapter in adapters) or f"No adapter is in {store.folder}")
    for adapter in adapters:
        if adapter.problem:
            say(adapter.problem)
    return ExitCode.MODEL if any(adapter.problem for adapter in adapters) else ExitCode.OK


def _describe_adapter(adapter: StoredAdapter) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": adapter.name, "file": str(adapter.path), "problem": adapter.problem}
    if adapter.card is not None:
        card = adapter.card
        entry |= {
            "title": card.title,
            "base": card.base_name,
            "base_sha256": card.base_sha256,
            "trained_on": card.trained_on,
            "created": card.created,
            "figures": dict(card.figures),
        }
    return entry


def _adapter_lines(adapter: StoredAdapter) -> str:
    if adapter.card is None:
        return f"{adapter.name}: cannot be used\n  file       {adapter.path}"
    card = adapter.card
    lines = [f"{adapter.name}: {card.title}{' (worse than its base model)' if adapter.is_worse else ''}"]
    figures = ", ".join(f"{name} {value:g}" for name, value in card.figures.items())
    facts = [
        ("for", f"{card.base_name} ({card.base_sha256[:12]}…)"),
        ("trained on", card.trained_on),
        ("created", card.created),
        ("figures", figures),
        ("file", str(adapter.path)),
    ]
    return "\n".join([*lines, *(f"  {name:<11}{value}" for name, value in facts if value)])


def _say_adapter(adapter: StoredAdapter) -> int:
    print(f"{adapter.name}: {adapter.title} is in {adapter.path.parent}")
    if adapter.card is not None:
        print(f"Use it with: hemaview segment SCAN --engine {adapter.card.base_name} --adapter {adapter.name} ...")
    return ExitCode.OK
