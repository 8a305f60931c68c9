# Sourced by the other scripts: installing a system package, or saying how.

say() {
    echo "$*" >&2
}

# apt_install PACKAGE...: as root or with sudo; otherwise one sentence, and failure.
apt_install() {
    if ! command -v apt-get >/dev/null 2>&1; then
        say "Please install what Debian calls '$*' with this system's package manager, then run make again."
        return 1
    fi
    if [ "$(id -u)" -eq 0 ]; then
        as_root=
    elif sudo -n true 2>/dev/null || { [ -t 0 ] && command -v sudo >/dev/null 2>&1; }; then
        as_root=sudo
    else
        say "Please run as root: apt-get install $*    (then run make again)"
        return 1
    fi
    say "Installing $* from the system's packages"
    apt_log=$(mktemp)
    if $as_root apt-get update -qq >"$apt_log" 2>&1 &&
        $as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends "$@" >>"$apt_log" 2>&1; then
        rm -f "$apt_log"
        return 0
    fi
    tail -n 20 "$apt_log" >&2
    rm -f "$apt_log"
    say "apt-get could not install $*; see above."
    return 1
}
