# Read by the other scripts: a private MariaDB in a temporary folder, on a free port of 127.0.0.1. POSIX sh.
# It has its own data folder, user and password. A MariaDB or MySQL of the system is neither used nor touched.
# Needs need.sh. Usage: mariadb_find; mariadb_start [SERVER-OPTION...]; ... $MARIADB_URL ...; mariadb_stop
# SQL in MARIADB_INIT_SQL is run once, at the start.

MARIADB_PID=
MARIADB_DIR=
MARIADB_URL=

# Finds mariadbd, or installs it. The *-core packages hold the programs only: no service is set up or started.
mariadb_find() {
    PATH="$PATH:/usr/sbin:/usr/local/sbin:/usr/libexec"
    if ! mariadb_is_here; then
        say "installing the MariaDB programs (no service) with apt-get"
        apt_install mariadb-server-core mariadb-client-core || mariadb_missing
        mariadb_is_here || mariadb_missing
    fi
}

mariadb_is_here() { command -v mariadbd >/dev/null 2>&1 && command -v mariadb-install-db >/dev/null 2>&1; }

mariadb_missing() {
    fail "MariaDB's programs are not here and cannot be installed by this user.
  either: apt-get install mariadb-server-core mariadb-client-core   (programs only, no service)
  or:     TIDEGATE_TEST_MYSQL_URL=mysql://user:password@host:port make test   (a server where schemas may be made)"
}

# As root, a command of the server runs as somebody without rights.
mariadb_as_nobody() {
    if [ "$(id -u)" -eq 0 ]; then
        exec setpriv --reuid "$MARIADB_USER" --regid "$(id -g "$MARIADB_USER")" --clear-groups "$@"
    fi
    exec "$@"
}

mariadb_start() {
    MARIADB_USER=$(id -un)
    [ "$(id -u)" -ne 0 ] || { MARIADB_USER=mysql; id mysql >/dev/null 2>&1 || MARIADB_USER=nobody; }
    MARIADB_DIR=$(mktemp -d "${TMPDIR:-/tmp}/tidegate-db.XXXXXX")
    # A path of a socket has room for about a hundred bytes.
    [ "${#MARIADB_DIR}" -lt 90 ] || { rmdir "$MARIADB_DIR"; MARIADB_DIR=$(mktemp -d /tmp/tidegate-db.XXXXXX); }
    mkdir "$MARIADB_DIR/data" "$MARIADB_DIR/tmp"
    password=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
    cat >"$MARIADB_DIR/init.sql" <<SQL
create user if not exists 'tidegate'@'%' identified by '$password';
grant all on *.* to 'tidegate'@'%' with grant option;
${MARIADB_INIT_SQL:-}
SQL
    chmod 700 "$MARIADB_DIR"
    [ "$(id -u)" -ne 0 ] || chown -R "$MARIADB_USER" "$MARIADB_DIR"
    (mariadb_as_nobody mariadb-install-db --no-defaults --datadir="$MARIADB_DIR/data" --tmpdir="$MARIADB_DIR/tmp" \
        --skip-test-db --auth-root-authentication-method=socket --auth-root-socket-user="$MARIADB_USER" \
        ) >"$MARIADB_DIR/install.log" 2>&1 || {
        tail -n 20 "$MARIADB_DIR/install.log" >&2
        mariadb_stop
        fail "the private MariaDB could not be set up"
    }
    for _ in 1 2 3 4 5; do
        # Below the range that the kernel hands out by itself.
        port=$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 12000))
        : >"$MARIADB_DIR/error.log"
        [ "$(id -u)" -ne 0 ] || chown "$MARIADB_USER" "$MARIADB_DIR/error.log"
        (cd "$MARIADB_DIR" && mariadb_as_nobody mariadbd --no-defaults --datadir="$MARIADB_DIR/data" --tmpdir="$MARIADB_DIR/tmp" \
            --socket="$MARIADB_DIR/s" --pid-file="$MARIADB_DIR/pid" --bind-address=127.0.0.1 --port="$port" \
            --init-file="$MARIADB_DIR/init.sql" --log-error="$MARIADB_DIR/error.log" --skip-name-resolve \
            --character-set-server=utf8mb4 --max-connections=500 --max-allowed-packet=64M "$@") >/dev/null 2>&1 &
        MARIADB_PID=$!
        tries=0
        while kill -0 "$MARIADB_PID" 2>/dev/null && [ "$tries" -lt 300 ]; do
            if grep -q 'ready for connections' "$MARIADB_DIR/error.log"; then
                MARIADB_URL="mysql://tidegate:$password@127.0.0.1:$port"
                return 0
            fi
            tries=$((tries + 1))
            sleep 0.1
        done
        grep -qi 'address already in use' "$MARIADB_DIR/error.log" || break
        wait "$MARIADB_PID" 2>/dev/null || true
    done
    tail -n 20 "$MARIADB_DIR/error.log" >&2
    mariadb_stop
    fail "the private MariaDB did not start"
}

# Ends the server that mariadb_start started, by its id, and removes its folder. Harmless when there is none.
mariadb_stop() {
    if [ -n "$MARIADB_PID" ]; then
        kill "$MARIADB_PID" 2>/dev/null || true
        tries=0
        while kill -0 "$MARIADB_PID" 2>/dev/null; do
            tries=$((tries + 1))
            [ "$tries" -ne 200 ] || kill -9 "$MARIADB_PID" 2>/dev/null || true
            [ "$tries" -lt 220 ] || break
            sleep 0.1
        done
        wait "$MARIADB_PID" 2>/dev/null || true
        MARIADB_PID=
    fi
    if [ -n "$MARIADB_DIR" ]; then
        rm -rf "$MARIADB_DIR"
        MARIADB_DIR=
    fi
}
