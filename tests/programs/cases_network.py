"""More servers and clients on loopback: web, proxies, secure shell, names, messages."""
import os
import pwd
import signal
import socket

from cases_server import ask, listens
from harness import Broken, case

APACHE = """
ServerRoot {work}
PidFile {work}/pid
Listen 127.0.0.1:{port}
ServerName localhost
ErrorLog /dev/stderr
LogLevel crit
{user}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule dir_module {modules}/mod_dir.so
LoadModule mime_module {modules}/mod_mime.so
LoadModule deflate_module {modules}/mod_deflate.so
LoadModule filter_module {modules}/mod_filter.so
LoadModule include_module {modules}/mod_include.so
LoadModule rewrite_module {modules}/mod_rewrite.so
LoadModule proxy_module {modules}/mod_proxy.so
LoadModule proxy_http_module {modules}/mod_proxy_http.so
TypesConfig /dev/null
AddType text/html .html
AddOutputFilterByType DEFLATE text/html
StartServers 2
ThreadsPerChild 40
ThreadLimit 40
MaxRequestWorkers 80
ServerLimit 2
DocumentRoot {root}
FileETag None
RewriteEngine on
RewriteRule ^/p([0-9]+)$ /page$1.html
ProxyPass /again http://127.0.0.1:{port}/ disablereuse=on
"""

STAMPS = ((r"(?m)^(\[.*?\]|[\d: -]+) ", ""), (r"\[pid \d+:tid \d+\] |PID = \d+", ""))
COUNTS = (b"Complete", b"Failed", b"Non-2xx", b"HTML tr")


def bench(t, url, requests=2000):
    """ab's counts; its times are not the same twice."""
    out = t.run("ab", "-q", "-n", str(requests), "-c", "16", url, keep_out=False, keep_err=False)
    t.record("ab counts", b"\n".join(line for line in out.splitlines() if line.startswith(COUNTS)))


@case("apache", "apache2", "curl", "ab")
def apache(t):
    """Threads and processes serve pages, rewritten, compressed and through a proxy, to 4,000 requests."""
    port, root = t.port(), t.input("site")
    user = "User nobody\nGroup nogroup" if os.geteuid() == 0 else ""
    text = APACHE.format(work=t.work, port=port, root=root, user=user, modules="/usr/lib/apache2/modules")
    (t.work / "httpd.conf").write_text(text)
    server = t.start("apache2", "-DFOREGROUND", "-f", f"{t.work}/httpd.conf", ready=listens(port))
    url = f"http://127.0.0.1:{port}"
    for path in ("page[0-40].html", "p[41-60]", "again/p[61-80]", "big.xml"):
        t.run("curl", "-sS", "--compressed", f"{url}/{path}")
    t.run("curl", "-sS", "-o", "none", "-w", "%{http_code}", f"{url}/missing")
    bench(t, url + "/p3")
    bench(t, url + "/again/p4")
    # The main process reports children that crash on its standard error.
    t.stop(server, keep_err=True, normalise=STAMPS)
    t.ignore("^pid$|conf$", "a number, and one of a port")


HAPROXY = """
global
    nbthread 2
defaults
    mode http
    timeout connect 5s
    timeout client 20s
    timeout server 20s
    compression algo gzip
    compression type text/html
frontend in
    bind 127.0.0.1:{port}
    bind 127.0.0.1:{tls} ssl crt {work}/both.pem
    acl deep path_reg ^/deep/.*
    http-request replace-path /deep/(.*) /\\1
    http-request set-header X-Name %[path,lower,sha1,hex]
    http-response del-header Server
    default_backend out
backend out
    balance roundrobin
    server one 127.0.0.1:{back}
    server two 127.0.0.1:{back} check
"""

LIGHTTPD = """
server.document-root = "{root}"
server.port = {port}
server.bind = "127.0.0.1"
server.modules = ("mod_rewrite", "mod_dirlisting")
server.upload-dirs = ("{work}")
server.errorlog = "/dev/stderr"
mimetype.assign = (".html" => "text/html", ".xml" => "text/xml")
url.rewrite-once = ("^/p([0-9]+)$" => "/page$1.html")
dir-listing.activate = "enable"
"""


def lighttpd_at(t, port):
    text = LIGHTTPD.format(root=t.input("site"), port=port, work=t.work)
    (t.work / "lighttpd.conf").write_text(text)
    return t.start("lighttpd", "-D", "-f", "lighttpd.conf", ready=listens(port))


@case("lighttpd", "lighttpd", "wget", "ab")
def lighttpd(t):
    """Serves pages, ranges and rewritten names to wget and to ab's 3,000 requests."""
    port = t.port()
    server = lighttpd_at(t, port)
    url = f"http://127.0.0.1:{port}"
    t.shell(
        f"wget -q -i <(for i in {{0..60}}; do echo {url}/p$i; done); wget -q {url}/big.xml; wget -q -c -O part {url}/p7"
    )
    t.run("wget", "-nv", url + "/missing", status=8, keep_err=False)
    bench(t, url + "/p3", 3000)
    t.stop(server, signal.SIGINT, keep_err=True, normalise=STAMPS)
    t.ignore("conf$", "names a port")


@case("haproxy", "haproxy", "lighttpd", "curl", "ab")
def haproxy(t):
    """Balances, rewrites, compresses and ends TLS in two threads, in front of a web server; 3,000 requests by ab."""
    port, back, tls = t.port(), t.port(1), t.port(2)
    keys = t.input("keys")
    (t.work / "both.pem").write_text(open(keys + "/rsa.pem").read() + open(keys + "/rsa.key").read())
    (t.work / "haproxy.cfg").write_text(HAPROXY.format(port=port, back=back, tls=tls, work=t.work))
    server = lighttpd_at(t, back)
    t.run("haproxy", "-c", "-f", "haproxy.cfg")
    proxy = t.start("haproxy", "-db", "-f", "haproxy.cfg", ready=listens(port))
    for path in ("page[0-40].html", "deep/p[41-70]", "big.xml"):
        t.run("curl", "-sS", "--compressed", f"http://127.0.0.1:{port}/{path}")
    secure = ("curl", "-sS", "--cacert", keys + "/ca.pem", "--connect-to", f"rsa.example:{tls}:127.0.0.1:{tls}")
    t.run(*secure, f"https://rsa.example:{tls}/p[0-20]")
    bench(t, f"http://127.0.0.1:{port}/deep/p3", 3000)
    t.stop(proxy, signal.SIGTERM, status=None)
    t.stop(server, signal.SIGINT, status=None)
    t.ignore("cfg$|conf$", "name ports")


SSHD = """
Port {port}
ListenAddress 127.0.0.1
HostKey {work}/host
PidFile none
AuthorizedKeysFile {work}/user.pub
StrictModes no
UsePAM no
SetEnv {passed}
Subsystem sftp internal-sftp
"""


@case("sshd", "/usr/sbin/sshd", "ssh", "sftp", "ssh-keygen")
def sshd(t):
    """Logs in through the sandboxed child by two ciphers, runs commands, forwards data, moves files; refuses a key."""
    port = t.port()
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", exist_ok=True)
    for name in ("host", "user", "stranger"):
        t.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", name)
    passed = " ".join(f'"{k}={v}"' for k, v in t.environment({}).items() if k in ("LD_PRELOAD", "MOAT_OPTIONS", "PATH"))
    (t.work / "sshd.conf").write_text(SSHD.format(port=port, work=t.work, passed=passed))
    t.run("/usr/sbin/sshd", "-t", "-f", f"{t.work}/sshd.conf")
    server = t.start("/usr/sbin/sshd", "-D", "-e", "-f", f"{t.work}/sshd.conf", ready=listens(port))
    user = pwd.getpwuid(os.geteuid()).pw_name
    known = f"127.0.0.1 {(t.work / 'host.pub').read_text()}"
    (t.work / "known").write_text(known)
    options = f"-F none -o BatchMode=yes -o UserKnownHostsFile=known -o HostKeyAlias=127.0.0.1 -o LogLevel=ERROR -o User={user}"
    for cipher in ("chacha20-poly1305@openssh.com", "aes128-ctr"):
        ssh = f"ssh {options} -i user -p {port} -C -c {cipher} 127.0.0.1"
        t.shell(f"{ssh} 'sha256sum; exit 7' <{t.input('small.xml')}", status=7)
        t.shell(f"{ssh} cat {t.input('text.txt')} | cmp - {t.input('text.txt')}")
    # Everyone has the library: the parts of the server and, through SetEnv, what it starts.
    maps = t.shell(f"ssh {options} -i user -p {port} 127.0.0.1 cat /proc/self/maps", keep_out=False)
    if t.profile and str(t.setup.library).encode() not in maps:
        raise Broken("what sshd starts runs without the library")
    t.shell(f"ssh {options} -i stranger -p {port} 127.0.0.1 true", status=255, keep_err=False)
    t.shell(
        f"printf 'put {t.input('small.xml')} {t.work}/there\\nget {t.work}/there back\\nls -1 {t.work}/there\\n' | sftp {options} -i user -P {port} -b - 127.0.0.1; cmp there back"
    )
    t.stop(server, status=None)
    t.ignore(r"^(host|user|stranger|known|sshd)", "keys are drawn at random")


ZONE = "$TTL 300\n@ IN SOA ns. root. 1 60 60 60 60\n@ IN NS ns.\n"


def queries(t, port, label, host, count=1200):
    answers = [ask(port, n, host(n), 10) for n in range(1, count)]
    t.record(label, b"".join(answers))


@case("unbound")
def unbound(t):
    """Loads 6,000 records, answers 1,199 questions in two threads, also for names that are not there."""
    port = t.port()
    data = "".join(f'  local-data: "h{n}.example. 60 IN A 10.1.{n // 250}.{n % 250}"\n' for n in range(6000))
    (t.work / "unbound.conf").write_text(
        f'server:\n  interface: 127.0.0.1\n  port: {port}\n  num-threads: 2\n  chroot: ""\n  username: ""\n'
        f'  directory: {t.work}\n  pidfile: ""\n  do-daemonize: no\n  use-syslog: no\n  verbosity: 0\n'
        f'  rrset-roundrobin: no\n  module-config: "iterator"\n  local-zone: example. static\n{data}'
        "remote-control:\n  control-enable: no\n"
    )
    server = t.start("unbound", "-d", "-c", "unbound.conf", ready=lambda: ask(port, 0, "h1.example", 0.2))
    queries(t, port, "answers", lambda n: f"h{n * 7}.example")
    t.stop(server)


@case("bind", "/usr/sbin/named", "dig", "named-checkzone")
def bind(t):
    """Checks and serves a zone of 8,000 records to 1,199 questions and a transfer by dig."""
    port, control = t.port(), t.port(1)
    records = "".join(f"h{n} IN A 10.2.{n // 250}.{n % 250}\nh{n} IN TXT \"{'t' * (n % 200)}\"\n" for n in range(4000))
    (t.work / "zone").write_text(ZONE + records)
    (t.work / "named.conf").write_text(
        f'options {{ directory "{t.work}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; '
        f"recursion no; pid-file none; session-keyfile none; minimal-responses yes; allow-transfer {{ any; }}; "
        f"rate-limit {{ responses-per-second 0; }}; }}; controls {{ }};\n"
        f'zone "a.example" {{ type primary; file "zone"; }};\n'
    )
    t.run("named-checkzone", "a.example", "zone")
    server = t.start(
        "/usr/sbin/named",
        "-g",
        "-n",
        "2",
        "-c",
        f"{t.work}/named.conf",
        ready=lambda: ask(port, 0, "h1.a.example", 0.2)[7:8] == b"\1",
    )
    queries(t, port, "answers", lambda n: f"h{n * 5}.a.example")
    t.shell(f"dig @127.0.0.1 -p {port} a.example axfr +noall +answer | sort | cksum")
    t.shell(f"for n in 1 2 3; do echo h$n.a.example TXT +short; done | dig @127.0.0.1 -p {port} -f -")
    t.stop(server)
    t.ignore("conf$|managed-keys", "names a port; holds times")


@case("mosquitto", "mosquitto", "mosquitto_pub", "mosquitto_sub")
def mosquitto(t):
    """Brokers 3,000 messages on 50 topics from a publisher to two subscribers; retained messages stay."""
    port = t.port()
    (t.work / "m.conf").write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nlog_type none\nmax_queued_messages 0\n"
    )
    server = t.start("mosquitto", "-c", "m.conf", ready=listens(port))
    at = f"-h 127.0.0.1 -p {port} -q 1"
    t.shell(
        f"head -50 {t.input('text.txt')} | nl | while read -r n line; do mosquitto_pub {at} -r -t kept/$n -m \"$line\"; done"
    )
    t.shell(f"mosquitto_sub {at} -t 'kept/#' -C 50 -F '%t %p' | sort")
    # The subscribers' sessions are there before anything is sent.
    t.shell(f"for c in a b; do mosquitto_sub {at} -c -i $c -t 'live/+' -E; done")
    t.shell(f"head -3000 {t.input('text.txt')} | mosquitto_pub {at} -t live/x -l")
    t.shell(f"for c in a b; do mosquitto_sub {at} -c -i $c -t 'live/+' -C 3000 | cksum; done")
    t.stop(server)
    t.ignore("conf$", "names a port")
