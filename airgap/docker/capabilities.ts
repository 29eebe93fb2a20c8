// Which kernel capabilities a process on this host may have at all. `docker run --privileged` asks for every one of them.
import * as fs from "node:fs/promises";

/** Number of the newest capability that runc 1.1 asks for (CAP_CHECKPOINT_RESTORE). */
const NEWEST = 40;

/** Names of those that sandboxes take away in practice; any other is shown by its number. */
const NAMES: Readonly<Record<number, string>> = {
    12: "CAP_NET_ADMIN",
    16: "CAP_SYS_MODULE",
    17: "CAP_SYS_RAWIO",
    19: "CAP_SYS_PTRACE",
    21: "CAP_SYS_ADMIN",
    22: "CAP_SYS_BOOT",
    24: "CAP_SYS_RESOURCE",
    25: "CAP_SYS_TIME",
    39: "CAP_BPF",
};

/**
 * The capabilities that the bounding set lacks, by the text of `/proc/<pid>/status` and of
 * `/proc/sys/kernel/cap_last_cap` (one that the kernel does not know is not missing).
 */
export function missingCapabilities(status: string, lastCapability: string): string[] {
    const mask = /^CapBnd:\s*([0-9a-f]+)$/m.exec(status)?.[1];
    if (mask === undefined) throw new Error("no CapBnd line in the process status");
    const bounding = BigInt(`0x${mask}`);
    const last = Math.min(NEWEST, Number.parseInt(lastCapability, 10));
    return Array.from({ length: last + 1 }, (_, number) => number)
        .filter((number) => (bounding & (1n << BigInt(number))) === 0n)
        .map((number) => NAMES[number] ?? `capability ${number}`);
}

/** The capabilities that this host lacks. */
export async function hostMissingCapabilities(): Promise<string[]> {
    return missingCapabilities(
        await fs.readFile("/proc/self/status", "utf8"),
        await fs.readFile("/proc/sys/kernel/cap_last_cap", "utf8"),
    );
}
