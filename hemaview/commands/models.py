"""``hemaview models``: which models there are, and whether their files are sound."""

from __future__ import annotations

import json
from typing import Any

from hemaview.commands.exit_codes import EXIT_CODES, ExitCode
from hemaview.commands.parser import Parser
from hemaview.commands.terminal import say
from hemaview.errors import ModelError


def run(given: list[str]) -> int:
    """List the models; exit code 5 when a file of one is missing or altered."""
    parser = Parser("hemaview models", "List the models and check their files against the registry.", EXIT_CODES)
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(given)
    from hemaview.segmentation.registry import model_records

    sound = True
    listed: list[dict[str, Any]] = []
    for record in model_records():
        problems = []
        for file in record.files if record.bundled or record.is_installed else ():
            try:
                record.checked_path(file.role)
            except ModelError as error:
                problems.append(str(error))
        sound = sound and not problems
        listed.append(
            {
                "name": record.name,
                "title": record.title,
                "installed": record.is_installed,
                "sha256": record.fingerprint,
                "licence": record.licence,
                "origin": record.origin,
                "trained_on": record.trained_on,
                "card": str(record.card_path),
                "problems": problems,
            }
        )
    if options.json:
        print(json.dumps(listed, indent=2, ensure_ascii=False))
    else:
        for entry in listed:
            state = "damaged" if entry["problems"] else "files checked" if entry["installed"] else "not installed"
            print(f"{entry['name']}: {entry['title']} ({state})")
            for key in ("sha256", "licence", "origin", "trained_on", "card"):
                print(f"  {key.replace('_', ' '):<11}{entry[key]}")
    for entry in listed:
        for problem in entry["problems"]:
            say(problem)
    return ExitCode.OK if sound else ExitCode.MODEL
