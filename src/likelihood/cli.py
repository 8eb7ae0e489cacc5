"""The console command `likelihood`; the help of each subcommand ends with an example.

Exit status: 0 all is right, 1 the answer is no (an image is flagged, a result is stale, a page is old), 2 anything else.
"""

import argparse
import importlib
import re
from pathlib import Path
from typing import NoReturn

from likelihood.common.errors import InputError
from likelihood.detection import command

DETECT = """IMAGES are pictures, folders of pictures with all their subfolders, and .npz files (key `images`, uint8, of the
models' shape). Pictures are turned upright by their EXIF tag, cropped in the middle, resampled and converted to that
shape; of a file of several pictures each is judged, `two.tiff[1]`. One line per image gives its verdict; its p-value,
(1 + k) / (1 + n), where k of the n calibration images, which are held out of the in-set, are at least as outlying; and
bits/dim of every model. An image is flagged when p is at most the rate of false alarms, unless --fdr or --group says
otherwise. A file that cannot be read is skipped; the others are judged all the same."""
ADD = """Every file of FOLDER and of the folders in it is looked at; what cannot be read as one picture is left out;
the first of them are named. The others are copied to data/own/NAME, and params.yaml gets NAME under `own` and under
`benchmarks`. The size of the models' images follows from that of the pictures: at most 32 pixels on the longer side.
The last line printed is the command that trains a detector."""
REMOVE = """Both entries of params.yaml are removed, and data/own/NAME with all that is in it. Pictures that it only links to
stay, and so does what was trained. While params.yaml enables the benchmark, or names the set elsewhere, nothing is removed."""
WATCH = """One line per picture that arrives says whether it is flagged, as `likelihood detect` does; a file is judged once it
has not changed for two seconds, and again when it changes later. A line ALARM says, once, that pictures have become
more outlying than those trained on: the probability that it ever says so without such a drift is at most --alarm,
however long it runs."""
VERIFY = """The models are trained from nothing in a temporary copy, which takes as long as `make repro` did. On the same
processor all numbers are equal. Elsewhere a number may differ by up to four standard deviations over further seeds, or by
up to 0.02 bits/dim or 0.01 of AUROC where that is more; by 0.05 where no further seeds were run. A larger difference is
named, and the status is 1."""
MERGE = """When `git merge` has stopped at a conflict in dvc.lock, that file is written with the stages of both branches, each as
the branch has it that ran it. A stage that both ran stays as ours and is named; then the next commands are printed."""
AUDIT = """Nothing is run: code, parameters, data and results are compared with what dvc.lock says each result was made from,
also for benchmarks that are not enabled, and what DVC's cache has of them with its hash. Files of shipped/ that no result
needs any more are named with the commands that remove them; they do not change the status."""


def example(line: str, no: str = "") -> str:
    """The end of a help text: an example, and what status 1 means."""
    return f"Example: {line}" + (f"\n\nExit status: 0 all is right, 1 {no}, 2 anything else." if no else "")


def which(command: argparse.ArgumentParser, fdr: bool = False) -> None:
    """Add arguments that choose a detector and how it flags, also by a false discovery rate where all images are known."""
    chosen = command.add_mutually_exclusive_group(required=True)
    chosen.add_argument(
        "--detector", type=Path, metavar="FILE", help="a file of `likelihood export` or Detector.save; works anywhere"
    )
    chosen.add_argument("--benchmark", help="a name under benchmarks: in params.yaml, trained or pulled")
    command.add_argument(
        "--model", action="append", help="vae, pixelcnn, glow or a variant; give it again for another one; the three by default"
    )
    command.add_argument(
        "--score",
        help="the score that flags, <model>.<name>, as glow.complexity; names are in docs/scores.md; code_kde by default",
    )
    flags = command.add_mutually_exclusive_group()
    flags.add_argument("--rate", type=float, help="rate of false alarms, 0.05 by default, or the smallest that can be resolved")
    if fdr:
        flags.add_argument("--fdr", type=float, help="instead, share of the flagged that may be false alarms, on average")


class Version(argparse.Action):
    """Print the version; its import takes longer than a help."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        """End with status 0."""
        import importlib.metadata

        print(f"{parser.prog} {importlib.metadata.version('likelihood')}")
        parser.exit()


def parser() -> argparse.ArgumentParser:
    """The arguments of all commands."""
    form = argparse.RawDescriptionHelpFormatter
    main = argparse.ArgumentParser("likelihood", description=__doc__.splitlines()[0], epilog=example("likelihood detect --help"))
    main.add_argument("--version", action=Version, nargs=0, help="print the version of this package")
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, text: str, ending: str, more: str = "") -> argparse.ArgumentParser:
        description = f"{text[0].upper()}{text[1:]}.\n\n{more}".strip()
        found = commands.add_parser(name, help=text, description=description, epilog=ending, formatter_class=form)
        found.set_defaults(module=name)
        return found

    line = "likelihood detect --benchmark fashion_mnist photos/ --rate 0.01 --output found.csv"
    detect = add("detect", "tell which images are unlike those trained on", example(line, "an image is flagged"), DETECT)
    detect.add_argument("images", nargs="+", metavar="IMAGES", help="pictures, folders of pictures, .npz files")
    which(detect, fdr=True)
    detect.add_argument("--group", type=int, help="flag this many consecutive images together, as a group from one source")
    detect.add_argument("--output", type=Path, help="write everything about every image to this .csv or .json")
    detect.add_argument("--report", type=Path, help="write a page to look at, .html: the most outlying images, and why")
    detect.add_argument(
        "--maps", type=Path, help="write maps of where the bits of each image are, as .npy and .png, to this new folder"
    )
    line = "likelihood watch --detector fashion_mnist.detector inbox/"
    watch = add("watch", "judge the pictures that arrive in a folder, until Ctrl-C", example(line, "the alarm was raised"), WATCH)
    watch.add_argument("folder", type=Path, metavar="FOLDER", help="pictures that are in it, and below it, are left alone")
    which(watch)
    watch.add_argument("--alarm", type=float, default=0.01, help="probability that a false alarm is ever raised, 0.01 by default")
    whole = """Weights, calibration and a model card go into one file, a zip of safetensors, Parquet and JSON, which
`likelihood detect --detector` reads in any folder. An older file of that name is replaced."""
    line = "likelihood export fashion_mnist -o fashion_mnist.detector"
    export = add("export", "write a benchmark's detector to one file, to be used anywhere", example(line), whole)
    export.add_argument("benchmark", metavar="BENCHMARK", help="a name under benchmarks: in params.yaml, trained or pulled")
    export.add_argument(
        "--model", metavar="VARIANT", help="a variant of params.yaml that is one model; the three models by default"
    )
    export.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the file to write, .detector")
    line = "likelihood add holidays ~/Pictures/holidays --size 32x48"
    added = add("add", "make a folder of pictures a data set and a benchmark of one's own", example(line), ADD)
    added.add_argument("name", metavar="NAME", help="of a-z, 0-9 and _, as params.yaml is to call it")
    added.add_argument("folder", type=Path, metavar="FOLDER", help="pictures, also in folders below")
    added.add_argument("--size", metavar="HxW", help="height and width of the models' images, instead of those proposed")
    added.add_argument("--link", action="store_true", help="link every picture to where it is, instead of copying it")
    removed = add("remove", "take back what `likelihood add` has done", example("likelihood remove holidays"), REMOVE)
    removed.set_defaults(module="add")
    removed.add_argument("name", metavar="NAME", help="a name under own: in params.yaml")
    shared = """Weights, detectors, scores, curves and tables come from the default DVC remote, and what that lacks from the one
of the repository, `shipped`; each file is checked against its MD5 in dvc.lock. They go into DVC's cache, too, so the benchmarks
can be enabled without training them again."""
    pull = add("pull", "bring the shared results of benchmarks, enabled or not", example("likelihood pull cifar10_30k"), shared)
    pull.add_argument("benchmarks", nargs="*", metavar="BENCHMARK", help="names in dvc.lock; those of `run` by default")
    docs = add("docs", "write the pages and tables of docs/ and README.md", example("likelihood docs --check", "a page is old"))
    docs.add_argument("--check", action="store_true", help="write nothing; say whether a page would change")
    add("summarize", "print mean and deviation over the seeds of a sweep", example("likelihood summarize"))
    add(
        "verify",
        "train the enabled benchmarks again and compare numbers",
        example("likelihood verify", "a number is too far off"),
        VERIFY,
    )
    line = example("likelihood audit", "an enabled result is old, a cached file damaged, or a file in git has no run")
    add("merge", "unite the dvc.lock of two branches while git waits for a merge", example("likelihood merge"), MERGE)
    add("audit", "name results that are old, damaged or without a run", line, AUDIT)
    return main


def extra(package: str) -> str | None:
    """The extra of this distribution that brings a package, both named as when it is imported; None where there is none."""
    import importlib.metadata  # takes longer to import than the help takes to print

    for installed in importlib.metadata.distributions(name="likelihood"):
        for line in installed.requires or ():
            found = re.match(r"""([\w.-]+).*extra == ["'](\w+)""", line)
            if found and re.sub(r"[-.]", "_", found[1]).lower() == package:
                return found[2]
    return None


def work() -> int:
    """Parse the arguments, then import the command, with all that it needs."""
    arguments = parser().parse_args()
    try:
        return importlib.import_module(f"likelihood.commands.{arguments.module}").run(arguments)
    except ImportError as error:
        # A library may say in words of its own what it lacks, as DVC does of S3.
        missing = error if isinstance(error, ModuleNotFoundError) else error.__cause__
        package = (getattr(missing, "name", None) or "").partition(".")[0]
        if name := extra(package):
            advice = f"run pip install '.[{name}]' in the folder of the project"
            raise InputError(f"`likelihood {arguments.command}` needs {package}, of the extra {name!r}: {advice}") from None
        raise


def main() -> NoReturn:
    """Run a command and end with its status."""
    command.run(work)


if __name__ == "__main__":
    main()
