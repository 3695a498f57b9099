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
