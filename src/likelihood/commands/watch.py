"""`likelihood watch`: judge the pictures that arrive in a folder, and raise an alarm when they drift (detection/drift.py)."""

import argparse
import contextlib
import signal
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from likelihood.commands.detect import Seen, decided, fraction, judged, load
from likelihood.common.errors import InputError
from likelihood.data import pictures
from likelihood.data.pictures import shown
from likelihood.detection.drift import Drift
from likelihood.detection.verdicts import Lines

ALARMED = 1
POLL, SETTLED = 0.5, 2.0  # seconds from look to look; for which a file must have stayed the same
BATCH = 20  # images that are judged at a time: so many verdicts come late if many files arrive at once
Stamp = tuple[int, int]  # nanoseconds and bytes: the time of the last change, and the size


class Arrivals:
    """The files of a folder and below that are new since the watch began, or have changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.known = self.present()  # as they were when they were given
        self.waiting: dict[Path, tuple[Stamp, float]] = {}  # and since when they have stayed the same

    def present(self) -> dict[Path, Stamp]:
        """The files that hold something now."""
        if not self.folder.is_dir():
            raise InputError(f"{shown(self.folder)} is not a folder: name one that is watched while pictures arrive in it")
        found = {}
        for path in pictures.files(self.folder):
            with contextlib.suppress(OSError):  # gone again
                status = path.stat()
                if stat.S_ISREG(status.st_mode) and status.st_size:
                    found[path] = (status.st_mtime_ns, status.st_size)
        return found

    def settled(self, now: float) -> list[Path]:
        """The files that have stayed the same for long enough, each once, in the order in which they were last changed."""
        present = self.present()
        self.known = {path: stamp for path, stamp in self.known.items() if path in present or not gone(path)}
        fresh = {path: stamp for path, stamp in present.items() if self.known.get(path) != stamp}
        before, self.waiting = self.waiting, {}
        for path, stamp in fresh.items():
            same = path in before and before[path][0] == stamp
            self.waiting[path] = before[path] if same else (stamp, now)
        ready = [path for path, (_, since) in self.waiting.items() if now - since >= SETTLED]
        self.known |= {path: fresh[path] for path in ready}
        return sorted(ready, key=lambda path: (fresh[path], path))


def gone(path: Path) -> bool:
    """Whether a file is certainly no longer there; a folder that cannot be listed for a moment still has its files."""
    try:
        path.lstat()
    except OSError as error:
        return isinstance(error, FileNotFoundError | NotADirectoryError)
    return False


@contextlib.contextmanager
def asked_to_end() -> Iterator[list[int]]:
    """The signals that have come meanwhile. No exception is raised: what is being judged is finished."""
    come: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: come.append(number))
    try:
        yield come
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(arguments: argparse.Namespace) -> int:
    """Watch until a signal comes; the exit status."""
    fraction("--rate", arguments.rate)
    fraction("--alarm", arguments.alarm)
    arrivals = Arrivals(arguments.folder)
    detector = load(arguments.detector, arguments.benchmark, arguments.model, arguments.score)
    decision, drift = decided(detector, arguments.rate, None, None), Drift(detector.levels, arguments.alarm)
    seen = Seen(detector.facts["prepared"], endless=True)
    with asked_to_end() as end, Lines() as lines:
        print(
            f"watching {shown(arguments.folder)}; files that are there already: {len(arrivals.known)}; Ctrl-C ends",
            file=sys.stderr,
        )
        while not end:
            ready = arrivals.settled(time.monotonic())
            for batch in decision(judged(detector, ready, seen, BATCH, [detector.score])) if ready else ():
                lines.add(batch)
                seen.flagged += int(batch.table["flagged"].sum())
                for name, score in zip(batch.table["image"], batch.table[batch.score], strict=True):
                    if drift.add(score):
                        odds = f"{drift.evidence:.0f} to 1, with image {drift.alarm}, {name}"
                        lines.write(f"ALARM    the pictures are more outlying than those trained on: {odds}")
                if end:
                    break
            if not end:
                time.sleep(POLL)
    for sentence in seen.warnings():
        print(f"warning: {sentence}", file=sys.stderr)
    alarm = f"alarm at image {drift.alarm}" if drift.alarm else "no alarm"
    flagged = f"{seen.flagged} of {seen.images} images flagged by {detector.score} {decision.said}"
    print(f"{flagged}; {seen.skipped} skipped; {alarm}", file=sys.stderr)
    return ALARMED if drift.alarm else 0
