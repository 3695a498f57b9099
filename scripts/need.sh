# Read by the other scripts: what must be there before anything is built. POSIX sh.

say() { printf '%s\n' "$*" >&2; }

# fail MESSAGE...: say it and end
fail() {
    say "$(basename "$0"): $*"
    exit 1
}

need_build_tools() {
    # A non-login shell often lacks the line that rustup adds to the profile.
    if ! command -v cargo >/dev/null 2>&1 && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
        PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
        export PATH
    fi
    command -v cargo >/dev/null 2>&1 ||
        fail "cargo is not here. Install Rust (https://rustup.rs), version 1.94 or later, and try again."
    # SQLite and jemalloc are compiled from their C source, into the program.
    command -v cc >/dev/null 2>&1 || command -v gcc >/dev/null 2>&1 || command -v clang >/dev/null 2>&1 ||
        fail "a C compiler is not here (SQLite is compiled in). On Debian or Ubuntu: apt-get install gcc libc6-dev make"
    command -v make >/dev/null 2>&1 ||
        fail "make is not here (the allocator, jemalloc, is built with it). On Debian or Ubuntu: apt-get install make"
}

# has_component NAME: whether cargo knows that subcommand (cargo-fmt may be a stub of rustup without its component)
has_component() { cargo "$1" --version >/dev/null 2>&1; }

# apt_install PACKAGE...: installs Debian packages, where this user may; fails in silence where not
apt_install() {
    command -v apt-get >/dev/null 2>&1 || return 1
    if [ "$(id -u)" -eq 0 ]; then as_root=
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then as_root='sudo -n'
    else return 1
    fi
    # shellcheck disable=SC2086 # as_root is empty or two words
    DEBIAN_FRONTEND=noninteractive $as_root apt-get install -qq -y --no-install-recommends "$@" >&2 || {
        $as_root apt-get update -qq >&2 &&
            DEBIAN_FRONTEND=noninteractive $as_root apt-get install -qq -y --no-install-recommends "$@" >&2
    }
}

# need_systemd_analyze: a test asks it how exposed the units are. It needs no running systemd.
need_systemd_analyze() {
    [ "${TIDEGATE_TEST_SYSTEMD:-}" != absent ] || return 0
    command -v systemd-analyze >/dev/null 2>&1 && return 0
    say "installing systemd-analyze (package systemd) with apt-get"
    apt_install systemd && command -v systemd-analyze >/dev/null 2>&1 && return 0
    fail "systemd-analyze is not here and cannot be installed by this user.
  either: apt-get install systemd   (nothing is started)
  or:     TIDEGATE_TEST_SYSTEMD=absent make test   (the units' score is not checked, and the test says so)"
}

# need_tool NAME VERSION: a cargo subcommand of that version, in a folder of this repository's own if the machine has another or none
need_tool() {
    [ "$(cargo "${1#cargo-}" --version 2>/dev/null | awk '{ print $NF }')" = "$2" ] && return 0
    PATH="$PWD/target/tools/bin:$PATH"
    export PATH
    [ "$(cargo "${1#cargo-}" --version 2>/dev/null | awk '{ print $NF }')" = "$2" ] && return 0
    say "building $1 $2 into target/tools (once; a few minutes)"
    # Its own build folder goes when it is built.
    env -u CARGO_ENCODED_RUSTFLAGS -u RUSTFLAGS cargo install --quiet --locked --root target/tools "$1@$2" ||
        fail "$1 $2 cannot be built; it comes from the registry that cargo uses"
}
