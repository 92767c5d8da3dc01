"""The system's own services and tools, a browser, solvers, text tools."""
import pathlib
import re

from cases_database import unprivileged
from harness import Broken, case

JOURNAL_REMOTE = "/lib/systemd/systemd-journal-remote"
CHROMIUM = "/usr/lib/chromium/chromium-headless-shell"


@case(
    "systemd",
    "systemd-analyze",
    "journalctl",
    "systemd-hwdb",
    "jq",
    extra=(("systemd-journal-remote", JOURNAL_REMOTE),),
)
def systemd(t):
    """Checks 60 units, calculates calendars and security, writes and reads a journal, compiles a hardware database."""
    units = t.work / "units"
    units.mkdir()
    for n in range(60):
        (units / f"u{n}.service").write_text(
            f"[Unit]\nDescription=Unit {n}\nAfter=u{n // 2 if n else 99}.service\n[Service]\nExecStart=/bin/echo {n} %n %i\n"
            f"Environment=A={'x' * n}\nProtectSystem=strict\nSystemCallFilter=@system-service\n"
        )
    (units / "sysinit.target").write_text("[Unit]\nDescription=none\n")
    env = {"SYSTEMD_UNIT_PATH": str(units), "SYSTEMD_LOG_LEVEL": "err"}
    t.run(
        "systemd-analyze",
        "verify",
        "--man=no",
        "--generators=no",
        *(f"u{n}.service" for n in range(0, 60, 6)),
        env=env,
        status=None,
    )
    t.run(
        "systemd-analyze",
        "calendar",
        "--iterations=50",
        "--base-time=2024-01-01",
        "Mon..Fri *-*-1/2 9..17/2:0/13",
        status=None,
        normalise=((r"(?m)^ +From now:.*$", ""),),
    )
    t.run("systemd-analyze", "syscall-filter", "--no-pager", env=env)
    t.run(
        "systemd-analyze",
        "security",
        "--offline=true",
        "--no-pager",
        *(f"{units}/u{n}.service" for n in (1, 2)),
        env=env,
        status=None,
    )
    export = b"".join(
        b"__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n_BOOT_ID=%032x\nMESSAGE=line %d %s\nPRIORITY=%d\nSYSLOG_IDENTIFIER=p%d\n\n"
        % (1700000000000000 + n * 1000, n * 1000, 7, n, b"w" * (n % 300), n % 8, n % 13)
        for n in range(2000)
    )
    (t.work / "export").write_bytes(export)
    t.run(JOURNAL_REMOTE, "-o", "all.journal", "--compress=no", "export", keep_err=False)
    # The order of fields follows a hash with a key of its own, the cursor names the file.
    t.shell("journalctl --file all.journal -o json --no-pager SYSLOG_IDENTIFIER=p7 | jq -cS 'del(.__CURSOR)'")
    t.run("journalctl", "--file", "all.journal", "-o", "short-iso", "--no-pager", "PRIORITY=3", "+", "PRIORITY=5")
    t.run("journalctl", "--file", "all.journal", "--no-pager", "-q", "-g", "line 1[0-9]{2}5", "-p", "4", "-o", "cat")
    t.ignore(r"\.journal$", "holds identifiers drawn at random")
    for n in range(3):
        (t.work / "etc/udev/hwdb.d").mkdir(parents=True, exist_ok=True)
        (t.work / f"etc/udev/hwdb.d/{n}.hwdb").write_text(
            "".join(f"usb:v{k:04X}p{n}*\n ID_NAME=thing {k}\n\n" for k in range(4000))
        )
    t.run("systemd-hwdb", "--root", str(t.work), "update")
    t.run("systemd-hwdb", "--root", str(t.work), "query", "usb:v0FA0p1x")


BUS = """<busconfig><type>session</type><listen>unix:path={work}/bus</listen><auth>EXTERNAL</auth><policy context="default">
<allow send_destination="*" eavesdrop="true"/><allow own="*"/><allow eavesdrop="true"/></policy></busconfig>"""


@case("dbus", "dbus-daemon", "dbus-send", "dbus-test-tool")
def dbus(t):
    """A message bus: names, introspection, 2,000 messages echoed between two clients, refused calls."""
    (t.work / "bus.conf").write_text(BUS.format(work=t.work))
    server = t.start("dbus-daemon", "--config-file=bus.conf", "--nofork", ready=(t.work / "bus").exists)
    env = {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={t.work}/bus"}
    echo = t.start("dbus-test-tool", "echo", "--name=a.b.Echo", ready=lambda: b"a.b.Echo" in names(t, env), env=env)
    t.run(
        "dbus-test-tool",
        "spam",
        "--dest=a.b.Echo",
        "--count=2000",
        "--queue=20",
        f"--payload={'größe ' * 900}",
        env=env,
        keep_out=False,
    )
    to = ("dbus-send", "--session", "--print-reply=literal", "--dest=org.freedesktop.DBus", "/")
    t.run(*to, "org.freedesktop.DBus.Introspectable.Introspect", env=env)
    t.run(*to, "org.freedesktop.DBus.NameHasOwner", "string:a.b.Echo", env=env)
    t.run(*to, "org.freedesktop.DBus.Nothing", "array:string:a,b", "dict:string:int32:x,1", env=env, status=1)
    t.stop(echo, status=None)
    t.stop(server, status=None)
    t.ignore("^bus", "a socket")


def names(t, env):
    """Who is on the bus; asked by a program, because the bus speaks a binary protocol."""
    before = len(t.steps)
    out = t.run(
        "dbus-send",
        "--session",
        "--print-reply=literal",
        "--dest=org.freedesktop.DBus",
        "/",
        "org.freedesktop.DBus.ListNames",
        env=env,
        status=None,
    )
    del t.steps[before:]  # how often it is asked depends on timing
    return out


@case("nftables", "nft")
def nftables(t):
    """Parses and prints rule sets with sets, maps and intervals of 5,000 elements; refuses broken ones."""
    elements = ", ".join(f"10.{n // 250}.{n % 250}.0/24" for n in range(5000))
    rules = "".join(f"    tcp dport {n + 1} ip saddr @s counter accept\n" for n in range(200))
    (t.work / "a.nft").write_text(
        "table ip t {\n  set s { type ipv4_addr; flags interval; elements = { " + elements + " } }\n"
        "  map m { type inet_service : verdict; elements = { 22 : accept, 80 : drop } }\n"
        "  chain c {\n    type filter hook input priority 0;\n" + rules + "    tcp dport vmap @m\n  }\n}\n"
    )
    t.run("nft", "--check", "--optimize", "-f", "a.nft", status=None)
    t.run("nft", "--check", "--debug=scanner,parser,eval", "-f", t.input("broken.xml"), status=1)


@case("tmux")
def tmux(t):
    """A server, eight windows that run shells, 400 lines in each, copies of what they show."""
    tmux_ = "tmux -f /dev/null -L moat"
    env = {"TERM": "xterm", "SHELL": "/bin/sh", "TMUX_TMPDIR": str(t.work)}
    loop = "i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo line $i größe; done; echo end; exec sleep 60"
    t.shell(
        f"{tmux_} new-session -d -s s -x 100 -y 30 '{loop}'; for w in 1 2 3 4 5 6 7; do {tmux_} new-window -t s: '{loop}'; done",
        env=env,
    )
    t.shell(
        f"for w in 0 1 2 3 4 5 6 7; do until {tmux_} capture-pane -p -t s:$w | grep -q end; do :; done; "
        f"{tmux_} capture-pane -p -S -500 -t s:$w | cksum; done; {tmux_} split-window -t s:1 'sleep 60'; "
        f"{tmux_} resize-pane -t s:1 -x 40; {tmux_} list-windows -t s -F '#I #{{window_panes}}'",
        env=env,
    )
    t.run("tmux", "-f", "/dev/null", "-L", "moat", "kill-server", env=env)
    t.ignore("^tmux-", "a socket")


@case("z3")
def z3(t):
    """Proves and refutes bit vector, array and integer formulas; finds a model of queens."""
    (t.work / "a.smt2").write_bytes(pathlib.Path(t.setup.script("formulas.smt2")).read_bytes())
    t.run("z3", "smt.random_seed=1", "a.smt2")


@case("minisat")
def minisat(t):
    """Solves pigeons in holes and a random formula near the threshold."""

    def clause(*literals):
        return " ".join(map(str, literals)) + " 0\n"

    holes = 7
    clauses = [clause(*(p * holes + h + 1 for h in range(holes))) for p in range(holes + 1)]
    clauses += [
        clause(-(p * holes + h + 1), -(q * holes + h + 1))
        for h in range(holes)
        for p in range(holes + 1)
        for q in range(p)
    ]
    (t.work / "pigeons").write_text(f"p cnf {(holes + 1) * holes} {len(clauses)}\n" + "".join(clauses))
    t.run("minisat", "-verb=0", "pigeons", "result", status=20)
    seed, lines = 7, []
    for _ in range(620):
        row = []
        for _ in range(3):
            seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
            row.append((1 + (seed >> 8) % 150) * (1 if seed >> 20 & 1 else -1))
        lines.append(clause(*row))
    (t.work / "random").write_text(f"p cnf 150 {len(lines)}\n" + "".join(lines))
    t.run("minisat", "-verb=0", "random", "model", status=None)


@case("spelling", "hunspell", "uconv", extra=(("hunspell-en-us", "/usr/share/hunspell/en_US.dic"),))
def spelling(t):
    """Checks 3,000 lines against a dictionary with suggestions; transliterates and normalises them with ICU."""
    t.shell(
        f"head -3000 {t.input('text.txt')} >some; hunspell -d en_US -l some | sort | uniq -c; head -150 some | hunspell -d en_US -a | cksum"
    )
    t.run("uconv", "-x", "Any-Latin; Latin-ASCII; Upper", "some")
    t.shell(
        "uconv -f utf-8 -t utf-16le -x Any-NFD some | uconv -f utf-16le -t utf-8 -x Any-NFC | cmp - <(uconv -x Any-NFC some)"
    )
    t.shell("head -c 9001 /usr/bin/uconv | uconv -f shift_jis -t utf-8 --callback escape-xml | cksum", status=None)


@case("markup", "xmlstarlet", "tidy", "w3m")
def markup(t):
    """Selects and edits XML, mends broken HTML, shows pages as text."""
    t.run(
        "xmlstarlet",
        "sel",
        "-N",
        "c=urn:c",
        "-t",
        "-m",
        "//c:item[@price>9900]",
        "-s",
        "A:T:L",
        "c:name",
        "-v",
        "concat(@id,' ',c:name)",
        "-n",
        t.input("small.xml"),
    )
    t.shell(
        f"xmlstarlet ed -N c=urn:c -d '//c:raw' -i '//c:item[1]' -t attr -n new -v 1 {t.input('small.xml')} | xmlstarlet pyx | cksum"
    )
    page = (
        "<html><body><table>"
        + "".join(f"<tr><td>a{n}<td><b>x<i>y</b>{n}&auml;<p>" for n in range(500))
        + "</div></span>"
    )
    (t.work / "a.html").write_text(page)
    t.run("tidy", "-q", "-asxml", "-utf8", "a.html", status=1)
    t.run("w3m", "-dump", "-cols", "80", "a.html")
    t.run("tidy", "-q", "-e", t.input("broken.xml"), status=2)


@case("go", "gcc", extra=(("golang-go", "/usr/bin/go"),), about="go")
def go(t):
    """Builds a program of goroutines that call C and its malloc, and runs it; Go itself takes no library."""
    (t.work / "main.go").write_bytes(pathlib.Path(t.setup.script("calls.go")).read_bytes())
    (t.work / "go.mod").write_text("module calls\n\ngo 1.19\n")
    env = {
        "GOCACHE": str(t.work / "cache"),
        "GOPATH": str(t.work / "go"),
        "GOFLAGS": "-mod=mod -p=1",
        "GOTOOLCHAIN": "local",
        "TMPDIR": str(t.work / "tmp"),
    }
    (t.work / "tmp").mkdir()
    t.run("go", "build", "-o", "calls", ".", env=env, keep_err=False)
    t.run("./calls")
    t.ignore("^(cache|go/|tmp|calls$)", "holds build identifiers of temporary directories")


@case("chromium", CHROMIUM, "pdftotext", extra=(("chromium-headless-shell", CHROMIUM),))
def chromium(t):
    """Renders a page of scripts, canvas and grids in its sandboxed processes: its tree, a PDF, a picture."""
    become, _ = unprivileged(t, "nobody")  # it refuses to be root with a sandbox
    page = pathlib.Path(t.setup.script("page.html"))
    (t.work / "page.html").write_bytes(page.read_bytes())
    options = ("--disable-gpu", "--virtual-time-budget=20000", f"--user-data-dir={t.work}/profile")
    tree = t.run(*become, CHROMIUM, *options, "--dump-dom", f"file://{t.work}/page.html", keep_err=False)
    if not re.search(rb'<p id="sum">\d+ \d+ \d+</p>', tree):
        raise Broken("the page's scripts did not come to their end")
    t.run(
        *become,
        CHROMIUM,
        *options,
        "--no-pdf-header-footer",
        "--print-to-pdf=page.pdf",
        f"file://{t.work}/page.html",
        keep_err=False,
    )
    t.run("pdftotext", "page.pdf", "-")
    t.run(*become, CHROMIUM, *options, "--screenshot=page.png", f"file://{t.work}/page.html", keep_err=False)
    t.ignore(r"^(profile|\.)|page.pdf", "holds times and identifiers")
