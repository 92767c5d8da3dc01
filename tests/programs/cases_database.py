"""Databases with a server of their own."""
import getpass
import os
import pwd
import signal

from cases_server import listens
from harness import case


def unprivileged(t, user):
    """Words to put before a command so that it does not run as root; the case's directory is given to that user."""
    if os.geteuid() != 0:
        return (), getpass.getuser()
    entry = pwd.getpwnam(user)
    os.chown(t.work, entry.pw_uid, entry.pw_gid)
    return ("setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"), user


POSTGRES = "/usr/lib/postgresql/15/bin/"


@case("postgresql", "psql", extra=(("postgresql-15", POSTGRES + "postgres"),))
def postgresql(t):
    """Makes a cluster, loads 30,000 rows in four sessions, joins, windows, JSON, full text, PL/pgSQL, dump and reload."""
    become, _ = unprivileged(t, "postgres")
    port = t.port()
    t.run(
        *become,
        POSTGRES + "initdb",
        "-D",
        "data",
        "-A",
        "trust",
        "-U",
        "moat",
        "--no-sync",
        "-E",
        "UTF8",
        keep_out=False,
    )
    server = t.start(
        *become, POSTGRES + "postgres", "-D", "data", "-p", str(port), "-k", str(t.work), "-c", "fsync=off",
        "-c", "shared_buffers=16MB", "-c", "listen_addresses=127.0.0.1", "-c", "jit=off", ready=listens(port),
    )  # fmt: skip
    client = ("-h", "127.0.0.1", "-p", str(port), "-U", "moat")
    t.run("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", *client, "-f", t.setup.script("shop.pgsql"), "postgres")
    query = (
        "select count(*), sum(n * k) from generate_series(1, 20000) n join sale on sale.id = n and $1 > 0 and k = $1"
    )
    session = f"psql -X -q {' '.join(client)} postgres -c \"{query.replace('$1', '$n')}\" >out$n"
    t.shell(f"for n in 1 2 3 4; do {session} & done; wait; cat out?")
    t.shell(
        f"pg_dump {' '.join(client)} postgres >dump.sql; createdb {' '.join(client)} copy; psql -X -q {' '.join(client)} -f dump.sql copy"
    )
    t.run(
        "psql",
        "-X",
        *client,
        "-c",
        "select count(*), sum(total), md5(string_agg(note, ',' order by id)) from sale",
        "copy",
    )
    t.run("psql", "-X", *client, "-c", "select 1 / 0", "copy", status=1)
    t.stop(server, signal.SIGINT)
    t.ignore("^(data|dump.sql)", "holds identifiers, times and the order of pages")


@case("mariadb", "mariadbd", "mariadb", extra=(("mariadb-server", "/usr/bin/mariadb-install-db"),))
def mariadb(t):
    """Makes a data directory, loads 20,000 rows, joins, windows, JSON, full text, a procedure, dump and reload."""
    become, user = unprivileged(t, "mysql")
    port, socket_ = t.port(), str(t.work / "s")
    common = ("--no-defaults", f"--datadir={t.work}/data", "--innodb-buffer-pool-size=24M", "--innodb-log-file-size=8M")
    t.run(
        *become,
        "mariadb-install-db",
        *common,
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        keep_out=False,
        keep_err=False,
    )
    server = t.start(
        *become, "mariadbd", *common, f"--port={port}", f"--socket={socket_}", "--bind-address=127.0.0.1",
        "--innodb-flush-log-at-trx-commit=0", f"--pid-file={t.work}/pid", "--skip-grant-tables", ready=listens(port),
    )  # fmt: skip
    client = ("mariadb", "--no-defaults", f"--socket={socket_}", "--default-character-set=utf8mb4")
    t.run(*client, "-e", "create database shop character set utf8mb4")
    t.run(*client, "-t", "shop", stdin=t.setup.script("shop.mysql"))
    t.shell(
        f"mariadb-dump --no-defaults --socket={socket_} --skip-dump-date --skip-comments shop >dump.sql; {' '.join(client)} -e 'create database copy'; {' '.join(client)} copy <dump.sql"
    )
    t.run(*client, "-e", "select count(*), sum(total) from sale; check table sale, product extended", "copy")
    t.run(*client, "-e", "select nothing from nowhere", "copy", status=1)
    t.stop(server)
    t.ignore("^(data|pid|s$)", "holds times and identifiers")


@case("lmdb", "mdb_load", "mdb_dump")
def lmdb(t):
    """Loads 30,000 keys into a memory-mapped tree, dumps, reloads, compares, copies compactly."""
    with open(t.work / "load", "w", encoding="ascii") as f:
        f.write("VERSION=3\nformat=print\ntype=btree\nmapsize=67108864\nHEADER=END\n")
        for n in range(30_000):
            f.write(f" key{n * 7919 % 30_011}\n {'v' * (n % 300)}{n}\n")
        f.write("DATA=END\n")
    t.shell(
        "mkdir a b; mdb_load -f load a; mdb_dump -p a >one; mdb_load -f one b; mdb_dump -p b | cmp - one; mdb_stat -a b"
    )
    t.ignore("data.mdb$|lock.mdb$", "holds the identifier of its process, and pages never written")
