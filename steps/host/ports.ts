import { readFileSync } from "node:fs";

/** A TCP socket that listens on this host. */
export interface Listener {
    /** IPv4 address, or `::` and other IPv6 addresses in hex. */
    address: string;
    port: number;
}

/** The listening sockets in the text of /proc/net/tcp or tcp6. */
export function listenersIn(table: string): Listener[] {
    return table.split("\n").flatMap((line) => {
        // "  0: 0100007F:1F90 00000000:0000 0A …": local address, remote address, state (0A: listening).
        const match = /^\s*\d+: ([0-9A-F]+):([0-9A-F]{4}) \S+ 0A /.exec(line);
        if (!match) return [];
        return [{ address: addressOf(match[1]), port: parseInt(match[2], 16) }];
    });
}

/** An address as the kernel prints it: 32-bit words in the host's byte order, little-endian on every machine we run on. */
function addressOf(hex: string): string {
    const bytes = (word: string) => (word.match(/../g) ?? []).reverse().map((byte) => parseInt(byte, 16));
    if (hex.length === 8) return bytes(hex).join(".");
    if (/^0+$/.test(hex)) return "::";
    // IPv4 in IPv6
    if (hex.startsWith("0000000000000000FFFF0000")) return bytes(hex.slice(24)).join(".");
    return hex;
}

/** All listening TCP sockets of this host; none where the kernel does not tell. */
export function listeners(): Listener[] {
    return ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((path) => {
        try {
            return listenersIn(readFileSync(path, "latin1"));
        } catch {
            return [];
        }
    });
}

/**
 * The socket that keeps others from listening on `address` and `port`; an undefined address stands for one not known yet. Who listens at all
 * addresses wants the port of each of them.
 */
export function blocking(all: Listener[], address: string | undefined, port: number): Listener | undefined {
    return all.find(
        (one) =>
            one.port === port && (address === "0.0.0.0" || [address, "0.0.0.0", "::"].includes(one.address)),
    );
}
