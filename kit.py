"""python kit.py lab | test | doctor      the one command of kdlab

    lab      opens the lessons in JupyterLab
    test     checks the kit: style, unit tests and every notebook
    doctor   says what this machine can do, and what is wrong with it

"lab --no-solutions" is for class: its list of files shows no solved notebooks. They stay where
they are, on the disk. What else stands after the command goes through: "lab --port 9999",
"test -k losses".
The first time, the packages are installed into the folder .venv beside this file: that
takes minutes. Later it takes no time, and no network. To start afresh, or to change to another
Python, delete .venv.

    KDLAB_VENV           another folder than .venv
    KDLAB_TORCH_INDEX    the package index to take PyTorch from; on Linux without a graphics
                         card, https://download.pytorch.org/whl/cpu saves gigabytes
"""

# This file keeps to the standard library and to old syntax (no f-strings), so that an old
# Python, even 2.7, reads far enough to say that it is too old.
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.abspath(__file__))
CONSTRAINTS = os.path.join(ROOT, "constraints.txt")
OLDEST = (3, 11)
CHECKED_BY_RUFF = ["kdlab", "tests", "tools", "benchmarks", "conftest.py", "kit.py"]
# What JupyterLab's list of files leaves out: Jupyter's own list, and what holds the answers.
HIDDEN = ["__pycache__", "*.pyc", "*.pyo", ".DS_Store", "*~", "solutions", "source"]
MOST_WORKERS = 8  # each worker, and each notebook it runs, holds a PyTorch of its own in memory

FULL_INSTALL = 3.0  # GB: the CPU build of PyTorch and all the rest take 1.8, downloads 0.5
CUDA_INSTALL = 10.0  # GB: what PyTorch takes from the ordinary index on Linux, with all of CUDA
SMALL_INSTALL = 0.3  # GB: PyTorch is there already

# What pip's output says, and what that means to a learner. The first that fits is told.
MEANINGS = [
    (
        ["No space left on device", "not enough space on the disk", "Errno 28", "Disk quota"],
        "The disk is full. kdlab needs about {size:.0f} GB in {folder},\n"
        "and pip needs room for its downloads in {temporary} (set TMPDIR for another folder).",
    ),
    (
        ["CERTIFICATE_VERIFY_FAILED"],
        "The package index showed a certificate that this Python does not trust.\n"
        "A school or company proxy may be in between: ask for its certificate file and set\n"
        "PIP_CERT to the path of that file.",
    ),
    (
        [
            "NewConnectionError",
            "NameResolutionError",
            "Failed to establish a new connection",
            "Temporary failure in name resolution",
            "Name or service not known",
            "nodename nor servname",
            "getaddrinfo failed",
            "Network is unreachable",
            "Connection refused",
            "Connection broken",
            "Connection aborted",
            "ConnectTimeoutError",
            "ReadTimeoutError",
            "timed out",
            "ProxyError",
            "Max retries exceeded",
        ],
        "pip could not reach the package index. Is the network there, and the proxy right?\n"
        "Only the first installation needs the network; what has been fetched is kept.",
    ),
    (
        ["No matching distribution found for torch", "Cannot install torch"],
        "There is no PyTorch {torch} for this Python ({python}, {machine}){where}.\n"
        "PyTorch needs a 64-bit Python that is not brand-new, and no longer supports Macs with\n"
        "an Intel processor. Python 3.12 is a safe choice.",
    ),
    (
        ["ResolutionImpossible"],
        "A version that constraints.txt names does not exist for this Python\n"
        "({python}, {machine}). Python 3.12 is a safe choice.",
    ),
    (
        ["Long Path"],
        "The path of this folder is too long for Windows. Move the kit to a short one, such as\n"
        "C:\\kdlab, or switch on long paths in Windows.",
    ),
    (
        ["WinError 5]", "WinError 32]"],
        "A file is in use. Close JupyterLab and every other program that runs from {folder}.",
    ),
]


class Stop(Exception):
    """What happened and what to do, in plain words: all that the learner sees."""


def say(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()  # a child process writes to the same screen: keep the order


def main(arguments):
    try:
        check_python(sys.version_info, arguments)
        if not arguments or arguments[0] in ("help", "-h", "--help"):
            say(__doc__.strip())
            return 0
        command = COMMANDS.get(arguments[0])
        if command is None:
            names = ", ".join(sorted(COMMANDS))
            sys.stderr.write("kit.py has no '%s'; it has: %s.\n" % (arguments[0], names))
            return 2
        folder = os.path.abspath(os.environ.get("KDLAB_VENV") or os.path.join(ROOT, ".venv"))
        install(folder)
        return command(python_in(folder), arguments[1:])
    except Stop as stop:
        sys.stderr.write("\n%s\n" % stop)
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. The same command goes on from here.\n")
        return 130


# The commands --------------------------------------------------------------------------------


def lab(python, arguments):
    notebooks = os.path.join(ROOT, "notebooks")
    # -P: a learner's notebooks/random.py must not stand in for Python's own when the lab starts
    command = [python, "-P", "-m", "jupyterlab", notebooks]
    if "--no-solutions" in arguments:
        command += ["--ContentsManager.hide_globs=" + name for name in HIDDEN]
        arguments = [argument for argument in arguments if argument != "--no-solutions"]
    return run(command + arguments, notebooks)


def doctor(python, arguments):
    return run([python, "-m", "kdlab.cli", "doctor"] + arguments, ROOT)


def test(python, arguments):
    steps = [] if arguments else style_checks()
    steps.append(["pytest"] + spread(arguments) + arguments)
    say("This runs in %s, with %s:" % (ROOT, python))
    for step in steps:
        say("    " + " ".join(step))
    # One thread a worker: many workers with many threads each would only wait for one another.
    threads = {name: os.environ.get(name, "1") for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    failed = 0
    for step in steps:
        code = run([python, "-m"] + step, ROOT, threads)
        if code and step[0] == "ruff":
            say("%s found something: see above.\n" % " ".join(step[:2]))
        failed = code or failed
    return failed


def style_checks():
    there = [path for path in CHECKED_BY_RUFF if os.path.exists(os.path.join(ROOT, path))]
    return [["ruff", "check"] + there, ["ruff", "format", "--check"] + there]


def spread(arguments):
    """How pytest shares the work among processes, as far as the caller has not said so."""

    def said(pattern):
        return any(re.match(pattern, argument) for argument in arguments)

    if said("(-p)?no:xdist"):
        return []
    options = []
    if not said("-n([0-9=]|auto|logical|$)|--numprocesses"):
        options += ["-n", "auto", "--maxprocesses", str(MOST_WORKERS)]
    if not said("--dist"):
        options += ["--dist", "loadfile"]  # the cells of a notebook need one kernel, so one worker
    return options


COMMANDS = {"lab": lab, "test": test, "doctor": doctor}


def run(command, folder, variables=None):
    """The exit code of a command that has the screen and the keyboard to itself."""
    child = subprocess.Popen(command, cwd=folder, env=dict(os.environ, **(variables or {})))
    # Ctrl-C reaches the child as well; it alone decides (JupyterLab asks, pytest sums up).
    before = [
        (signal.SIGINT, signal.signal(signal.SIGINT, lambda *_: None)),
        (signal.SIGTERM, signal.signal(signal.SIGTERM, lambda *_: child.terminate())),
    ]
    try:
        code = child.wait()
    finally:
        for number, handler in before:
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code


# The installation ----------------------------------------------------------------------------


def install(folder):
    """Installs what is missing. Each step leaves a stamp when it is done, and only then."""
    index = os.environ.get("KDLAB_TORCH_INDEX", "")
    torch_stamp = os.path.join(folder, "kdlab-torch.txt")
    stamp = os.path.join(folder, "kdlab-installed.txt")
    torch_there = has_torch(read(torch_stamp), index)
    if torch_there and read(stamp) == fingerprint() and works(folder):
        return
    started = time.time()
    forget(stamp)
    if not works(folder, thoroughly=True):
        make_environment(folder)
        torch_there = False
    check_room(folder, SMALL_INSTALL if torch_there else FULL_INSTALL)
    remove_half_installed(folder)
    open(log_in(folder), "w").close()
    if not torch_there:
        forget(torch_stamp)
        install_torch(folder, index, started)
        write(torch_stamp, pinned("torch") + "\n" + index)
    say("Installing JupyterLab and the other packages: about 150 MB, minutes, once only.")
    pip(folder, ["-e", ".[test]", "-c", CONSTRAINTS], started)
    write(stamp, fingerprint())
    say("Installed in %s." % spell(time.time() - started))


def has_torch(stamp, index):
    """Without an index named, a torch from any will do: who forgets the variable in a new
    terminal must not need the network again."""
    version, _, origin = stamp.partition("\n")
    return version == pinned("torch") and index in ("", origin)


def install_torch(folder, index, started):
    """PyTorch first and alone: it is the big one, and may come from an index of its own."""
    version = pinned("torch")
    say("Installing PyTorch %s: 200 MB to 3 GB, minutes, once only." % version)
    free = shutil.disk_usage(folder).free / 1e9
    if sys.platform == "linux" and not index and free < CUDA_INSTALL:
        say(
            "  With CUDA it takes %.0f GB, and %.0f are free. If the disk fills up,"
            % (CUDA_INSTALL, free)
        )
        say("  set KDLAB_TORCH_INDEX (see: python kit.py help) for the build without CUDA.")
    wanted = ["torch==" + version]
    if index:
        # Only torch comes from there: such an index has old versions of the packages that torch
        # needs. Reinstalled, since pip takes torch with and without CUDA for the same version.
        pip(folder, wanted + ["--index-url", index, "--no-deps", "--force-reinstall"], started)
    else:
        pip(folder, wanted + ["-c", CONSTRAINTS], started)


def check_python(version, arguments):
    if tuple(version[:2]) >= OLDEST:
        return
    names = ["python3.%d" % minor for minor in (13, 12, 11, 14)]
    which = getattr(shutil, "which", lambda name: None)  # Python 2 has none
    found = [name for name in names if which(name) and quiet([name, "-c", "pass"]) == 0]
    line = "kit.py " + " ".join(arguments or ["lab"])
    if found:
        advice = "There is a newer one on this machine. Run:  %s %s" % (found[0], line)
    else:
        advice = (
            "Install a newer one (https://www.python.org/downloads, or your system's packages;\n"
            "3.12 is a safe choice). Then run:  python3.12 %s    (on Windows:  py -3.12 %s)"
        ) % (line, line)
    raise Stop(
        "kdlab needs Python %d.%d or newer; this is %d.%d (%s).\n%s"
        % (OLDEST[0], OLDEST[1], version[0], version[1], sys.executable, advice)
    )


def check_room(folder, gigabytes):
    while not os.path.isdir(folder) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    free = shutil.disk_usage(folder).free / 1e9
    if free < gigabytes:
        raise Stop(
            "The disk is too full: %.1f GB are free in %s, kdlab needs about %.1f.\n"
            "Make room, or set KDLAB_VENV to a folder on another disk. Then run this again."
            % (free, folder, gigabytes)
        )


def works(folder, thoroughly=False):
    """Is this an environment with a working Python and pip? Asking them takes 0.2 s, which is
    spent only where there is a doubt, such as a system that has changed its Python."""
    if not os.path.exists(python_in(folder)):
        return False
    same = "version = %d.%d." % sys.version_info[:2] in read(os.path.join(folder, "pyvenv.cfg"))
    return (same and not thoroughly) or quiet([python_in(folder), "-c", "import pip"]) == 0


def make_environment(folder):
    check_room(folder, FULL_INSTALL)
    from importlib.util import find_spec  # here: Python 2 has no such module

    if not (find_spec("venv") and find_spec("ensurepip")):
        raise Stop(
            "This Python (%s) cannot make virtual environments: a part of it is missing.\n"
            "On Debian and Ubuntu:  sudo apt install python%d.%d-venv    Then run this again."
            % ((sys.executable,) + tuple(sys.version_info[:2]))
        )
    inside = os.listdir(folder) if os.path.isdir(folder) else []
    if inside and "pyvenv.cfg" not in inside and folder != os.path.join(ROOT, ".venv"):
        raise Stop(
            "KDLAB_VENV names a folder with other things in it: %s\n"
            "Name one that is empty or does not exist yet." % folder
        )
    say("Making a place for the packages: %s" % folder)
    with tempfile.TemporaryFile() as output:
        if quiet([sys.executable, "-m", "venv", "--clear", folder], output):
            output.seek(0)
            told = output.read().decode("utf-8", "replace").strip()
            raise Stop("Python could not make a virtual environment:\n%s" % told)


def remove_half_installed(folder):
    """pip takes a package for whole as soon as its metadata is there; the RECORD comes last."""
    for path, folders, files in os.walk(folder):
        if path.endswith(".dist-info") and "RECORD" not in files:
            shutil.rmtree(path)
        if os.path.basename(path) == "site-packages":
            folders[:] = [name for name in folders if name.endswith(".dist-info")]


def pip(folder, wanted, started):
    command = [python_in(folder), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    command += ["install", "--progress-bar", "off"] + wanted
    # PIP_USER: some clusters' pip.conf asks for --user, which fails in a virtual environment
    variables = dict(os.environ, PIP_USER="0", PYTHONIOENCODING="utf-8")
    log = log_in(folder)
    with open(log, "ab") as out:
        child = subprocess.Popen(
            command, cwd=ROOT, env=variables, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
        try:
            code = watch(child, log, started)
        except KeyboardInterrupt:
            child.terminate()
            child.wait()
            raise
    if code:
        raise Stop(explain(read(log), folder))


def watch(child, log, started):
    """The exit code; meanwhile the time and pip's last line, so that nobody thinks it hangs."""
    screen = sys.stdout.isatty()
    told = time.time()
    while child.poll() is None:
        time.sleep(0.2)
        if screen:
            line = "  %s  %s" % (spell(time.time() - started), " ".join(tail(read(log), 1)).strip())
            sys.stdout.write("\r" + line[:78].ljust(78))
            sys.stdout.flush()
        elif time.time() - told > 30:
            told = time.time()
            say("  %s ..." % spell(told - started))
    if screen:
        sys.stdout.write("\r" + " " * 78 + "\r")
        sys.stdout.flush()
    return child.returncode


def explain(output, folder):
    """A sentence for what went wrong, pip's last lines, and what to do."""
    index = os.environ.get("KDLAB_TORCH_INDEX")
    facts = {
        "folder": folder,
        "temporary": tempfile.gettempdir(),
        "size": FULL_INSTALL if index or sys.platform != "linux" else CUDA_INSTALL,
        "torch": pinned("torch"),
        "python": "%d.%d, %d bit" % (sys.version_info[:2] + (64 if sys.maxsize > 2**32 else 32,)),
        "machine": sys.platform,
        "where": " at KDLAB_TORCH_INDEX, " + index if index else "",
    }
    sentence = "pip could not install the packages; its last lines say why."
    for marks, meaning in MEANINGS:
        if any(mark in output for mark in marks):
            sentence = meaning.format(**facts)
            break
    lines = "\n".join("    " + line for line in tail(output, 10))
    return "%s\n\npip's last lines (all of them are in %s):\n%s\n\nThen run this again." % (
        sentence,
        log_in(folder),
        lines,
    )


# Small things --------------------------------------------------------------------------------


def python_in(folder):
    return os.path.join(
        folder, *(["Scripts", "python.exe"] if os.name == "nt" else ["bin", "python"])
    )


def log_in(folder):
    return os.path.join(folder, "kdlab-install.log")


def fingerprint():
    """Changes when something else is to be installed; ROOT, since -e notes where the kit lies."""
    text = "\n".join([ROOT, read(CONSTRAINTS), read(os.path.join(ROOT, "pyproject.toml"))])
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def pinned(name):
    found = re.search("^" + name + r"==(\S+)", read(CONSTRAINTS), re.MULTILINE)
    if not found:
        raise Stop("constraints.txt has no line '%s==...': fetch the kit anew." % name)
    return found.group(1)


def quiet(command, output=None):
    nowhere = subprocess.DEVNULL
    output = output or nowhere
    return subprocess.call(command, stdout=output, stderr=output, stdin=nowhere)


def read(path):
    """A file's text, "" where there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def forget(path):
    if os.path.exists(path):
        os.remove(path)


def tail(text, count):
    return [line for line in text.splitlines() if line.strip()][-count:]


def spell(seconds):
    return "%d min %02d s" % divmod(int(seconds), 60)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
