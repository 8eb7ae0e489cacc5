"""`likelihood watch`: judge the pictures that arrive in a folder, and raise an alarm when they drift.

The alarm is that of a conformal test martingale, which is ever false with a probability of at most α:

    p_t = (#{i : s_i > s_t} + U_t #{i : s_i = s_t}) / (n + t),    U_t uniform on (0, 1]
    M_t = 1 / (t + 1) + Σ_{τ ≤ t} 1 / (τ (τ + 1)) · mean_ε Π_{i = τ … t} f_ε(p_i),    f_ε(p) = ε p^(ε - 1)

where i runs over the n calibration images, the images of the stream before, and image t itself. If all of them are exchangeable,
as they are if they come from the same place independently of each other, the p_t are independent and uniform [1]. Then every f_ε
has the mean 1, and M is a martingale that starts at 1; so, by Ville's inequality [2],

    P(M_t ≥ 1 / α for any t) ≤ α

for a stream of any length, that of one call: the next begins with 1 again. The alarm is raised when M reaches 1 / α. The p of
evaluation/calibration.py would not do: they lie on a grid, and all compare with the same n images, whose chance deviations a long
stream would find and take for drift.

M is what has become of a capital of 1 that is put on bets [1, 3]. The share 1 / (τ (τ + 1)) bets from image τ on that p are small
more often than they should be; what still waits is 1 / (t + 1), so a drift that begins late is found as well. As f_ε falls, M is
smaller where p are too large, as levels that were raised for ties make them, and the inequality holds all the same; but images
that become more normal raise no alarm. Images that have drifted are compared with as well, so the evidence for a drift grows less
and less: a small one is found soon or never.

Our deviation: bets that begin at every image, instead of capital that jumps between values of ε [3].

References:
    [1] Testing exchangeability on-line (Vovk, Nouretdinov & Gammerman, 2003), ICML: the p_t and the power martingales f_ε
    [2] Étude critique de la notion de collectif (Ville, 1939)
    [3] Retrain or not retrain: conformal test martingales for change-point detection (Vovk et al., 2021),
        https://arxiv.org/abs/2102.10439
"""

import argparse
import contextlib
import os
import signal
import stat
import sys
import time
from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from likelihood.commands.detect import Seen, decided, fraction, judged, load
from likelihood.common.errors import InputError
from likelihood.data.pictures import shown
from likelihood.detection.verdicts import Lines

ALARMED = 1
POLL, SETTLED = 0.5, 2.0  # seconds from look to look; for which a file must have stayed the same
BATCH = 20  # images that are judged at a time: so many verdicts come late if many files arrive at once
EPSILONS = np.array([0.1, 0.3, 0.5, 0.7, 0.9])  # of the bets
Stamp = tuple[int, int]  # nanoseconds and bytes: the time of the last change, and the size


class Arrivals:
    """The files of a folder and below that are new since the watch began, or have changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.known = self.present()  # as they were when they were given
        self.waiting: dict[str, tuple[Stamp, float]] = {}  # and since when they have stayed the same

    def present(self) -> dict[str, Stamp]:
        """The files that hold something now, those that `pictures.files` finds; a full folder is looked at again and again."""
        if not os.path.isdir(self.folder):  # false as well where a network's disk is gone
            raise InputError(f"{shown(self.folder)} is not a folder: name one that is watched while pictures arrive in it")
        found, todo = {}, [str(self.folder)]
        while todo:
            with contextlib.suppress(OSError), os.scandir(todo.pop()) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(entry.path)
                        continue
                    try:
                        status = entry.stat()
                    except OSError:  # gone again
                        continue
                    if stat.S_ISREG(status.st_mode) and status.st_size:
                        found[entry.path] = (status.st_mtime_ns, status.st_size)
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
        return [Path(path) for path in sorted(ready, key=lambda path: (fresh[path], path))]


def gone(path: str) -> bool:
    """Whether a file is certainly no longer there; a folder that cannot be listed for a moment still has its files."""
    try:
        os.lstat(path)
    except OSError as error:
        return isinstance(error, FileNotFoundError | NotADirectoryError)
    return False


class Drift:
    """A stream of scores, and the evidence that it has drifted. Until the alarm it keeps every score, in 8 bytes.

    Arguments:
        levels: of the calibration images, (n,).
        alpha: the largest probability of an alarm, ever, if there is no drift.
        seed: of the U_t.

    Attributes:
        evidence: M_t.
        images: t.
        alarm: the t at which the alarm was raised; None before.
    """

    def __init__(self, levels: np.ndarray, alpha: float, seed: int = 0) -> None:
        self.scores = array("d", np.sort(levels))
        self.alpha, self.rng = alpha, np.random.default_rng(seed)
        self.capital = np.zeros(len(EPSILONS))
        self.evidence, self.images = 1.0, 0
        self.alarm: int | None = None

    def add(self, score: float) -> bool:
        """Take the score of the next image, higher is more outlying; whether the alarm is raised now. It is raised once."""
        if self.alarm is not None:
            return False
        self.bet(self.ranked(score))
        if self.evidence * self.alpha < 1.0:
            return False
        self.alarm = self.images
        return True

    def ranked(self, score: float) -> float:
        """p_t of a score, which is then one of those that the next are compared with."""
        first, last = bisect_left(self.scores, score), bisect_right(self.scores, score)
        insort(self.scores, score)
        larger, equal = len(self.scores) - 1 - last, last - first + 1
        return (larger + (1.0 - self.rng.random()) * equal) / len(self.scores)

    def bet(self, p: float) -> None:
        """Move the capital by the next p."""
        self.images += 1
        woken = 1.0 / (self.images * (self.images + 1))
        self.capital = (self.capital + woken / len(EPSILONS)) * EPSILONS * p ** (EPSILONS - 1.0)
        self.evidence = 1.0 / (self.images + 1) + float(self.capital.sum())


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
    seen, lost = Seen(detector.facts["prepared"], endless=True), None
    with asked_to_end() as end, Lines() as lines:
        print(
            f"watching {shown(arguments.folder)}; files that are there already: {len(arrivals.known)}; Ctrl-C ends",
            file=sys.stderr,
        )
        while not end:
            start = time.monotonic()
            try:
                ready = arrivals.settled(start)
            except InputError as error:  # the folder is gone: what was seen until then is still summed up
                lost = error
                break
            took = time.monotonic() - start
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
                time.sleep(max(POLL, took))  # so that looking takes half of a core at most
    for sentence in seen.warnings():
        print(f"warning: {sentence}", file=sys.stderr)
    alarm = f"alarm at image {drift.alarm}" if drift.alarm else "no alarm"
    flagged = f"{seen.flagged} of {seen.images} images flagged by {detector.score} {decision.said}"
    print(f"{flagged}; {seen.skipped} skipped; {alarm}", file=sys.stderr)
    if lost:
        raise lost
    return ALARMED if drift.alarm else 0
