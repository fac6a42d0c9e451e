"""Stands in for ``hemaview train``: speaks its protocol in a second. ``SMALL_TRAIN`` says how it ends."""

import json
import os
import signal
import sys
import time
from pathlib import Path


def main() -> int:
    given = sys.argv[1:]
    folder = Path(given[given.index("--out") + 1])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "given.json").write_text(json.dumps(given))
    how = os.environ.get("SMALL_TRAIN", "better")
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(130))
    if how == "refuses":
        print("There are only 2 patients; 4 are the fewest.", file=sys.stderr)
        return 4
    if how == "breaks":
        raise RuntimeError
    steps = 10_000 if how == "slow" else 5
    for step in range(steps):
        line = {"stage": "training", "done": step + 1, "total": steps, "loss": 1 / (step + 1), "dice": 0.8}
        print(json.dumps(line), flush=True)
        time.sleep(0.02)
    print("a line of some library", flush=True)
    case = {
        "patient": "p", "split": "test", "dice_before": 0.8, "volume_ml": 20.0, "volume_before_ml": 18.0,
        "volume_after_ml": 19.5,
    }  # fmt: skip
    after = {"better": 0.9, "worse": 0.6}[how]
    cases = [case | {"case": name, "dice_after": after} for name in ("one", "two")]
    content = {"cases": cases, "verdict": how, "mean_before": 0.8, "mean_after": after}
    (folder / "cases.json").write_text(json.dumps(content))
    (folder / "adapter.safetensors").write_bytes(b"no adapter")
    return 0


if __name__ == "__main__":
    sys.exit(main())
