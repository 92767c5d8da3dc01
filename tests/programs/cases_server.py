"""Servers under load on loopback."""
import getpass
import os
import signal
import socket
import struct

from harness import case


def listens(port):
    def ready():
        with socket.socket() as s:
            s.settimeout(1)
            return s.connect_ex(("127.0.0.1", port)) == 0

    return ready


NGINX = """
daemon off; master_process on; worker_processes 2; pid nginx.pid; error_log stderr error;
{user}
events {{ worker_connections 256; }}
http {{
    access_log off; log_not_found off; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f;
    uwsgi_temp_path u; scgi_temp_path s;
    gzip on; gzip_types text/xml; types {{ text/html html; text/xml xml; }}
    server {{ listen 127.0.0.1:{port}; root {root}; autoindex on;
              location /again/ {{ proxy_pass http://127.0.0.1:{port}/; }} }}
}}
"""


@case("nginx", "nginx", "curl", "ab")
def nginx(t):
    """Serves pages, ranges and a proxy to curl and to ab's 6,000 requests."""
    port, site = t.port(), t.input("site")
    (t.work / "nginx.conf").write_text(
        NGINX.format(port=port, root=site, user="user nobody nogroup;" if os.geteuid() == 0 else "")
    )
    server = t.start("nginx", "-p", str(t.work), "-c", "nginx.conf", "-e", "stderr", ready=listens(port))
    url = f"http://127.0.0.1:{port}"
    for path in ("page1.html", "again/page2.html", "big.xml", "again/big.xml"):
        t.run("curl", "-sS", "--compressed", f"{url}/{path}")
    t.run("curl", "-sS", "--compressed", f"{url}/page[0-99].html")
    t.run("curl", "-sS", "-o", "none", "-w", "%{http_code}", f"{url}/missing")
    t.run("curl", "-sS", "-r", "100-200,3000-4000", "-o", "range", f"{url}/big.xml")
    t.ignore(r"^range$", "multipart boundaries are drawn at random")
    # Of ab's report only the counts are the same twice.
    for path in ("page3.html", "again/page4.html"):
        out = t.run("ab", "-q", "-n", "3000", "-c", "16", f"{url}/{path}", keep_out=False, keep_err=False)
        t.record(
            "ab counts",
            b"\n".join(x for x in out.splitlines() if x.startswith((b"Complete", b"Failed", b"Non-2xx", b"HTML tr"))),
        )
    # The master reports workers that crash on its standard error and carries on: nothing may be there.
    t.stop(server, signal.SIGQUIT, keep_err=True)


@case("redis", "redis-server", "redis-benchmark", "redis-cli")
def redis(t):
    """60,000 commands, a benchmark, save and reload; contents by digest."""
    port = str(t.port())
    # What lies in the dump (times, memory in use) differs; the contents are compared by their digest.
    t.ignore(r"\.rdb$", "holds the time and the memory in use")
    server = t.start(
        "redis-server",
        "--port",
        port,
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--enable-debug-command",
        "yes",
        "--dir",
        str(t.work),
        ready=listens(int(port)),
    )
    client = ("redis-cli", "-p", port)
    t.run(*client, "--pipe", stdin=t.input("load.redis"))
    t.run(*client, "debug", "digest")
    t.run(
        "redis-benchmark",
        "-p",
        port,
        "-n",
        "8000",
        "-c",
        "20",
        "-P",
        "4",
        "-d",
        "300",
        "-r",
        "5000",
        "-q",
        "-t",
        "set,get,incr,lpush,lrange_100,sadd,hset,zadd,mset",
        keep_out=False,
        keep_err=False,
    )
    t.run(*client, "flushall")
    t.run(*client, "--pipe", stdin=t.input("load.redis"))
    t.run(*client, "save")
    t.run(*client, "debug", "reload")  # writes all, frees all, reads all
    t.run(*client, "debug", "digest")
    t.run(
        *client,
        "eval",
        "local s = {} for i = 1, 20000 do s[#s + 1] = redis.sha1hex(i) end return redis.sha1hex(table.concat(s))",
        "0",
    )
    t.run(*client, "dbsize")
    t.run(*client, "memory", "purge")
    t.run(*client, "shutdown", "nosave")
    t.stop(server, signal_=None)


@case("memcached")
def memcached(t):
    """20 connections set, append and get 4,000 values."""
    port = t.port()
    # 2 threads; -u: it refuses to run as root otherwise.
    server = t.start(
        "memcached",
        "-l",
        "127.0.0.1",
        "-p",
        str(port),
        "-U",
        "0",
        "-t",
        "2",
        "-m",
        "32",
        "-u",
        "nobody",
        ready=listens(port),
    )
    clients = [socket.create_connection(("127.0.0.1", port), 20) for _ in range(20)]
    for number, connection in enumerate(clients):
        requests = (
            b"".join(
                b"set k%d 0 0 %d\r\n%s\r\nget k%d\r\nappend k%d 0 0 3\r\nabc\r\n"
                % (i, 50 + i % 900, b"v" * (50 + i % 900), i, i)
                for i in range(number * 200, number * 200 + 200)
            )
            + b"get k1 k2 k3\r\nversion\r\nquit\r\n"
        )
        connection.sendall(requests)
        answer = b"".join(iter(lambda c=connection: c.recv(1 << 16), b""))
        t.record(f"memcached client {number}", answer)
        connection.close()
    t.stop(server)


def dns_question(number, host):
    labels = b"".join(bytes([len(x)]) + x.encode() for x in host.split("."))
    return struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)


def ask(port, number, host, seconds):
    """One query; an empty answer when none comes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(seconds)
        s.connect(("127.0.0.1", port))
        try:
            s.send(dns_question(number, host))
            return s.recv(1500)
        except OSError:
            return b""


@case("dnsmasq")
def dnsmasq(t):
    """Loads 40,000 names and answers 1,499 questions."""
    t.run("dnsmasq", "--test", "--conf-file=" + t.input("hosts.conf"))
    t.run("dnsmasq", "--test", "--conf-file=" + t.input("broken.xml"), status=1)
    port = t.port()
    server = t.start(
        "dnsmasq",
        "--keep-in-foreground",
        "--no-resolv",
        "--no-hosts",
        "--pid-file=",
        "--listen-address=127.0.0.1",
        "--bind-interfaces",
        f"--port={port}",
        "--user=" + getpass.getuser(),
        "--conf-file=" + t.input("hosts.conf"),
        ready=lambda: ask(port, 0, "h1.a.example", 0.2),
    )
    answers = [ask(port, n, f"h{n * 26}.{'abcdef'[n % 6]}.example", 10) for n in range(1, 1500)]
    t.record("dns answers", b"".join(answers))
    t.stop(server)
