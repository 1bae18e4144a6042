# What the packages of every Linux distribution do on the machine. `installer/linux/packages.py` puts it into
# the scripts of each; a machine without systemd has no timer, and everything else.

hca_set_up() {
    if ! hca_said=$(hca-agent trust install --machine 2>&1); then
        # The program works without: then each user has an identity of his own.
        printf '%s\n' "$hca_said" \
            "hca-agent: not every place accepts the machine's certificate; see hca-agent trust --help" >&2
    fi
}

hca_take_down() {
    hca-agent trust remove --machine >/dev/null ||
        echo "hca-agent: the machine's certificate could not be taken out everywhere" >&2
}

hca_systemd() {
    test ! -d /run/systemd/system || systemctl "$@" >/dev/null 2>&1 || true
}
