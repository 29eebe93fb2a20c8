// What a process takes of this machine's memory.
import { readFileSync } from "node:fs";

export const MEBIBYTE = 2 ** 20;
export const inMebibytes = (bytes: number) => `${(bytes / MEBIBYTE).toFixed(2)} MiB`;

/** Resident memory of a process, in bytes. */
export function residentBytesOf(pid: number): number {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
    if (kibibytes === undefined) throw new Error(status);
    return Number(kibibytes) * 1024;
}
