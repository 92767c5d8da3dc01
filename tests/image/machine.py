"""A machine of qemu's whose serial console is read and written here. Every wait has an end."""
import os
import re
import select
import signal
import subprocess
import time


class Stuck(Exception):
    """What was waited for did not come."""


class Machine:
    def __init__(self, emulator, kernel, initrd, console, mib, words="", seconds=600):
        """seconds: how long all of it may take."""
        # One nanosecond an instruction, and waiting takes no time: what the machine's clock says depends neither on this
        # machine's speed nor on what else runs here.
        self.process = subprocess.Popen(
            [*emulator.split(), "-m", f"{mib}M", "-smp", "1", "-kernel", kernel, "-initrd", initrd, "-icount",
             "shift=0,sleep=off", "-display", "none", "-monitor", "none", "-serial", "stdio", "-nic", "none", "-no-reboot",
             "-append", f"console={console} panic=-1 loglevel=4 {words}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        self.end = time.monotonic() + seconds
        self.text, self.read_to = "", 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def expect(self, pattern, seconds=300):
        """Reads until the pattern is there behind what was read before; returns its match."""
        end = min(self.end, time.monotonic() + seconds)
        while True:
            found = re.compile(pattern, re.M).search(self.text, self.read_to)
            if found:
                self.read_to = found.end()
                return found
            left = end - time.monotonic()
            if left <= 0:
                raise Stuck(f"no {pattern!r} within the time; the console's end:\n{self.text[-1500:]}")
            if select.select([self.process.stdout], [], [], left)[0]:
                more = os.read(self.process.stdout.fileno(), 65536)
                if not more:
                    raise Stuck(f"the machine ended before {pattern!r}; the console's end:\n{self.text[-1500:]}")
                self.text += more.decode(errors="replace").replace("\r", "")

    def type(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def run(self, line, seconds=300):
        """A command of the console's shell: its exit status and what it wrote."""
        start = self.read_to
        self.type(f'{line}; echo "end"=$?=')  # what is echoed of it is not what is waited for
        found = self.expect(r"end=(\d+)=\n", seconds)
        return int(found.group(1)), self.text[start:found.start()]

    def power_off(self):
        self.type("sync; poweroff -f")
        try:
            self.process.wait(min(120, max(1, self.end - time.monotonic())))
        except subprocess.TimeoutExpired as late:
            raise Stuck(f"it does not power off; the console's end:\n{self.text[-1500:]}") from late
