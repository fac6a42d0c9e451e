"""One run from labelled scans to a judged adapter."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from lightning_fabric import Fabric
from safetensors import safe_open

from hemaview import __version__
from hemaview.adaptation.datasets.labelled import DataError, LabelledScan, check_cases
from hemaview.adaptation.datasets.splits import Part, Splits, split_patients
from hemaview.adaptation.learning.bases import base_record, open_network, parts_of
from hemaview.adaptation.learning.checkpoint import Progress
from hemaview.adaptation.learning.curves import draw_curves
from hemaview.adaptation.learning.judging import CaseScore, Judgement, score_cases
from hemaview.adaptation.learning.loop import Loop, Plan, Report
from hemaview.adaptation.learning.methods import method_called
from hemaview.adaptation.learning.pool import Pool, cut_pool, forget_pools, open_pool
from hemaview.adaptation.learning.processes import even_batch
from hemaview.adaptation.learning.questions import Trainee
from hemaview.adaptation.learning.run_folder import RunFolder
from hemaview.adaptation.learning.student import Student
from hemaview.adaptation.learning.whole_model import write_model
from hemaview.case.records import utc_now
from hemaview.errors import Cancelled
from hemaview.segmentation.adapters import AdapterCard, save_adapter
from hemaview.segmentation.registry import load_engine

STOPPED = "Stopped; everything learned so far is kept, and the same command goes on from there."
_VALIDATION_QUESTIONS = 16
_STATISTICS_BATCH = 32


@dataclass(frozen=True)
class Options:
    """What to do. ``parts`` empty means the model's first network; ``rank`` and ``learning_rate`` None the method's."""

    out: Path
    base: str = "compact"
    parts: tuple[str, ...] = ()
    method: str = "lora"
    rank: int | None = None
    learning_rate: float | None = None
    steps: int | None = 400
    minutes: float | None = None
    batch: int = 16
    patience: int = 8
    check_every: int = 25
    seed: int = 0
    fold: tuple[int, int] | None = None
    splits: Path | None = None
    title: str = ""
    keep_prepared: bool = False


@dataclass(frozen=True)
class Event:
    """How far a run is: ``stage`` is "reading", "before", "training", "after" or "done"."""

    stage: str
    done: int
    total: int
    loss: float | None = None
    dice: float | None = None


@dataclass(frozen=True)
class Result:
    """A finished run; ``trained`` counts the numbers that learned, ``of`` the parameters of those networks."""

    folder: RunFolder
    judgement: Judgement
    trained: int
    of: int
    minutes: float
    notes: tuple[str, ...]


class Run:
    """``Run(...).execute()`` does all of it, goes on where a run in the same folder was broken off, and judges.

    ``stop`` is asked often; once it says True, the state is saved and ``Cancelled`` raised. Raises ``DataError``,
    ``ModelError``, ``ScanError`` and ``ExportError`` with one sentence each.
    """

    def __init__(
        self,
        fabric: Fabric,
        scans: Sequence[LabelledScan],
        options: Options,
        *,
        report: Callable[[Event], None] = lambda event: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        check_cases(scans)
        self._fabric = fabric
        self._scans = tuple(scans)
        self._options = options
        self._say = report if fabric.is_global_zero else lambda event: None
        self._stop = stop
        self._record = base_record(options.base)
        self._roles = options.parts or parts_of(self._record)[:1]
        self._method = method_called(options.method, rank=options.rank)
        self._splits = (
            Splits.read(options.splits) if options.splits else split_patients(scans, options.seed, options.fold)
        )
        self._folder = RunFolder(options.out)
        self._plan = self._planned()
        self._tables: dict[str, list[list[float]]] = {}
        self._minutes = 0.0

    def execute(self) -> Result | None:
        """The result; None in all processes but the first."""
        fabric, folder = self._fabric, self._folder
        students = self._students()
        config = self._config(students)
        if fabric.is_global_zero:
            folder.open(config)
            self._splits.save(folder.splits, self._scans)
        fabric.barrier()
        parts = {part: self._splits.scans(part, self._scans) for part in Part}
        for role in self._roles:
            self._cut(role, students[role][1], parts)
        fabric.barrier()
        digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
        before = self._before(parts[Part.HELD_OUT], digest) if fabric.is_global_zero else ()
        fabric.barrier()
        for number, role in enumerate(self._roles):
            self._learn(role, *students[role], parts, digest, number)
        if not fabric.is_global_zero:
            return None
        finished = {role: student for role, (student, _) in students.items()}
        judgement = Judgement(before, self._after(finished, parts[Part.HELD_OUT]))
        self._finish(finished, judgement)
        notes = [self._splits.warning] if self._splits.warning else []
        return Result(
            folder=folder,
            judgement=judgement,
            trained=sum(student.trainable for student, _ in students.values()),
            of=sum(student.base_size for student, _ in students.values()),
            minutes=self._minutes,
            notes=tuple(notes),
        )

    # What is asked for

    def _planned(self) -> Plan:
        options = self._options
        minutes = None if options.minutes is None else options.minutes / len(self._roles)
        return Plan(
            learning_rate=self._method.learning_rate if options.learning_rate is None else options.learning_rate,
            steps=options.steps,
            minutes=minutes,
            batch=even_batch(options.batch, self._fabric.world_size),
            patience=options.patience,
            check_every=options.check_every,
            seed=options.seed,
        )

    def _students(self) -> dict[str, tuple[Student, Trainee]]:
        found = {}
        for role in self._roles:
            net, trainee = open_network(self._record, role, self._method, self._fabric.device)
            found[role] = (Student(net, role, self._method, self._options.seed), trainee)
        return found

    def _config(self, students: dict[str, tuple[Student, Trainee]]) -> dict[str, Any]:
        method = self._method
        return {
            "program": f"HEMAVIEW {__version__}",
            "base": {"name": self._record.name, "sha256": self._record.fingerprint},
            "networks": list(self._roles),
            "method": method.name,
            "adapter": None if method.config is None else method.config.to_json(),
            "trainable": {role: student.trainable for role, (student, _) in students.items()},
            "parameters": {role: student.base_size for role, (student, _) in students.items()},
            "plan": asdict(self._plan),
            "data": {
                "scans": len(self._scans),
                "patients": len({scan.patient for scan in self._scans}),
                "origin": dict(Counter(scan.origin for scan in self._scans)),
                "cases": [[scan.patient, scan.case, scan.sequence] for scan in self._scans],
            },
            "split": self._splits.to_json(self._scans),
        }

    # The steps

    def _cut(self, role: str, trainee: Trainee, parts: dict[Part, tuple[LabelledScan, ...]]) -> None:
        fabric = self._fabric
        for part, most in ((Part.TRAIN, None), (Part.VALIDATION, _VALIDATION_QUESTIONS)):
            limit = {} if most is None else {"most": most}
            cut_pool(
                trainee,
                parts[part],
                self._folder.prepared,
                f"{role}-{part}",
                seed=self._options.seed,
                share=(fabric.global_rank, fabric.world_size),
                report=lambda done, total: self._tell("reading", done, total),
                **limit,
            )

    def _learned_from(self) -> frozenset[str]:
        """Fingerprints of the scans that were cut; ``DataError`` where two patients share one."""
        owner: dict[str, str] = {}
        for path in sorted(self._folder.prepared.glob("*.safetensors")):
            with safe_open(path, "np") as stored:
                known = stored.metadata()
            before = owner.setdefault(known["digest"], known["patient"])
            if before != known["patient"]:
                raise DataError(
                    f"The patients {before} and {known['patient']} have the same scan; give both the same name."
                )
        return frozenset(owner)

    def _before(self, scans: Sequence[LabelledScan], digest: str) -> tuple[CaseScore, ...]:
        path = self._folder.before
        if path.exists():
            found = json.loads(path.read_text(encoding="utf-8"))
            if found["run"] == digest:
                return tuple(CaseScore(**score) for score in found["scores"])
        scores = score_cases(
            load_engine(self._record.name),
            scans,
            learned_from=self._learned_from(),
            report=lambda done, total: self._tell("before", done, total),
        )
        content = {"run": digest, "scores": [asdict(score) for score in scores]}
        self._folder.write_json(path, content, "The comparison")
        return scores

    def _learn(
        self,
        role: str,
        student: Student,
        trainee: Trainee,
        parts: dict[Part, tuple[LabelledScan, ...]],
        digest: str,
        number: int,
    ) -> None:
        pools = tuple(
            open_pool(parts[part], self._folder.prepared, f"{role}-{part}") for part in (Part.TRAIN, Part.VALIDATION)
        )
        self._fit_statistics(student, trainee, pools[0])
        if not student.named_parameters():
            return

        def told(now: Report) -> None:
            share = (number + now.share) / len(self._roles)
            dice = None if math.isnan(now.dice) else round(now.dice, 4)
            self._say(Event("training", round(1000 * share), 1000, round(now.loss, 4), dice))

        def checked(progress: Progress) -> None:
            self._tables[role] = progress.rows
            self._folder.write_metrics(self._tables)
            draw_curves(self._folder.curves, self._heading(), self._tables)

        loop = Loop(
            self._fabric,
            student,
            trainee,
            (pools[0], pools[1]),
            self._plan,
            self._folder.checkpoint(role),
            digest,
            report=told,
            checked=checked,
            stop=self._stop,
        )
        progress = loop.run()
        self._tables[role] = progress.rows
        self._minutes += progress.minutes
        if progress.ended == "stopped":
            raise Cancelled(STOPPED)

    def _fit_statistics(self, student: Student, trainee: Trainee, pool: Pool) -> None:
        """AdaBN first, so that what is learned fits the new statistics; the answers are not looked at."""
        adapted = student.adapted
        if adapted is None or not adapted.config.adabn or "adabn" in adapted.skipped:
            return
        mixed = np.random.default_rng(self._options.seed).permutation(len(pool))
        batches = [mixed[start : start + _STATISTICS_BATCH] for start in range(0, len(mixed), _STATISTICS_BATCH)]
        device = self._fabric.device
        adapted.adapt_batch_norm(
            (pool.batch(indices) for indices in batches),
            forward=lambda batch: trainee.answer(student.net, {name: x.to(device) for name, x in batch.items()}),
        )

    def _after(self, students: dict[str, Student], held_out: Sequence[LabelledScan]) -> tuple[CaseScore, ...]:
        folder = self._folder
        if self._method.config is None:
            registry = write_model(folder.model, self._record, students, self._trained_on())
            engine = load_engine(f"{self._record.name}-full", registry=registry)
        else:
            unjudged = folder.path / "unjudged.safetensors"
            self._save_adapter(unjudged, students, {})
            try:
                engine = load_engine(self._record.name, adapter=unjudged)
            finally:
                unjudged.unlink(missing_ok=True)
        return score_cases(engine, held_out, report=lambda done, total: self._tell("after", done, total))

    def _finish(self, students: dict[str, Student], judgement: Judgement) -> None:
        folder = self._folder
        if self._method.config is not None:
            figures = {
                "verdict": judgement.verdict.figure,
                "dice_before": judgement.mean_before,
                "dice_after": judgement.mean_after,
                "held_out_cases": float(len(judgement.before)),
                "held_out_patients": float(len(self._splits.parts[Part.HELD_OUT])),
                "train_patients": float(len(self._splits.parts[Part.TRAIN])),
                "minutes": round(self._minutes, 2),
            }
            self._save_adapter(folder.adapter, students, figures)
        folder.write_metrics(self._tables)
        draw_curves(folder.curves, self._heading(), self._tables, judgement)
        folder.write_json(folder.cases, judgement.to_json(), "The comparison")
        if not self._options.keep_prepared:
            forget_pools(folder.prepared)
        self._say(Event("done", 1, 1, None, round(judgement.mean_after, 4)))

    def _save_adapter(
        self,
        path: Path,
        students: dict[str, Student],
        figures: dict[str, float],
    ) -> None:
        assert self._method.config is not None
        card = AdapterCard(
            title=self._options.title or self._title(),
            base_name=self._record.name,
            base_sha256=self._record.fingerprint,
            config=self._method.config,
            trained_on=self._trained_on(),
            figures=figures,
            created=utc_now(),
            program=f"HEMAVIEW {__version__}",
        )
        nets = {role: student.adapted for role, student in students.items() if student.adapted is not None}
        save_adapter(path, nets, card)

    # Words

    def _tell(self, stage: str, done: int, total: int) -> None:
        self._say(Event(stage, done, total))
        if self._stop():
            raise Cancelled(STOPPED)

    def _title(self) -> str:
        patients = len(self._splits.parts[Part.TRAIN])
        made_up = "synthetic " if any("synthetic" in scan.origin for scan in self._scans) else ""
        return f"{self._method.name}, {patients} {made_up}patients, {utc_now()[:10]}"

    def _heading(self) -> str:
        return f"{self._record.title}: {self._method.name} on {self._trained_on()}"

    def _trained_on(self) -> str:
        scans = self._splits.scans(Part.TRAIN, self._scans)
        patients = len(self._splits.parts[Part.TRAIN])
        origins = "; ".join(sorted({scan.origin for scan in scans}))
        return f"{len(scans)} scans of {patients} patients ({origins})"
