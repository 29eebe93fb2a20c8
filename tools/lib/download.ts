import { createHash, type Hash } from "node:crypto";
import * as fs from "node:fs/promises";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Progress } from "../../common/report";

/** A digest that a file must have. */
export interface Digest {
    algorithm: "sha1" | "sha256" | "sha512";
    /** Lower-case hex. */
    hex: string;
}

/** The file came whole and is not what it has to be: never fall back to anything from this. */
export class ChecksumError extends Error {
    constructor(url: string, expected: Digest, found: string) {
        super(
            `${url}: ${expected.algorithm} is ${found}, but ${expected.hex} was expected. The file was thrown away. ` +
                "Either the download was tampered with on its way, or the pinned checksum is wrong.",
        );
        this.name = "ChecksumError";
    }
}

/** How long a download may take. */
export interface DownloadLimits {
    /** Until the server has answered, in seconds. Default: 15. */
    answerSeconds?: number;
    /** Without a byte, in seconds. Default: 30. */
    stallSeconds?: number;
}

const MEGABYTE = 1024 * 1024;

function reason(error: unknown): string {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    return cause instanceof Error ? cause.message || cause.name : String(cause);
}

/** A GET whose headers must come in time; `watch` restarts the clock, `done` stops it. */
async function get(url: string, limits: DownloadLimits) {
    const controller = new AbortController();
    const answerSeconds = limits.answerSeconds ?? 15;
    const stallSeconds = limits.stallSeconds ?? 30;
    let timer: NodeJS.Timeout | undefined;
    const clock = (seconds: number, what: string) => {
        clearTimeout(timer);
        timer = setTimeout(() => controller.abort(new Error(`${what} for ${seconds} s`)), seconds * 1000);
    };
    const done = () => clearTimeout(timer);
    const watch = () => clock(stallSeconds, "nothing received");
    clock(answerSeconds, "no answer");
    try {
        const response = await fetch(url, { signal: controller.signal, redirect: "follow" });
        if (!response.ok || !response.body) {
            await response.body?.cancel();
            throw new Error(`HTTP status ${response.status} ${response.statusText}`.trim());
        }
        watch();
        return { response, body: response.body, watch, done };
    } catch (error) {
        done();
        throw new Error(`${url}: ${reason(controller.signal.aborted ? controller.signal.reason : error)}`, {
            cause: error,
        });
    }
}

/** Fetches a small text file (a checksum list), at most one megabyte. */
export async function downloadText(url: string, limits: DownloadLimits = {}): Promise<string> {
    const { body, watch, done } = await get(url, limits);
    try {
        const chunks: Uint8Array[] = [];
        let size = 0;
        for await (const chunk of body as AsyncIterable<Uint8Array>) {
            watch();
            size += chunk.length;
            if (size > MEGABYTE) throw new Error("larger than 1 MB: this is no checksum file");
            chunks.push(chunk);
        }
        return Buffer.concat(chunks).toString("utf8");
    } catch (error) {
        throw new Error(`${url}: ${reason(error)}`, { cause: error });
    } finally {
        done();
    }
}

/**
 * Downloads to a file, which is there afterwards only when its digest is the expected one.
 *
 * @throws ChecksumError when the content is another, Error when it could not be had in time.
 */
export async function download(
    url: string,
    file: string,
    expected: Digest,
    progress?: Pick<Progress, "update">,
    limits: DownloadLimits = {},
): Promise<void> {
    const { response, body, watch, done } = await get(url, limits);
    const total = Number(response.headers.get("content-length") ?? 0);
    const hash: Hash = createHash(expected.algorithm);
    let received = 0;
    const meter = new Transform({
        transform(chunk: Buffer, _encoding, next) {
            watch();
            hash.update(chunk);
            received += chunk.length;
            const megabytes = (received / MEGABYTE).toFixed(0);
            progress?.update(
                total ? `${megabytes} of ${(total / MEGABYTE).toFixed(0)} MB` : `${megabytes} MB`,
            );
            next(null, chunk);
        },
    });
    try {
        // It is open before there is anything to fail: a stream that opens it itself may do so once the file has been removed.
        const opened = await fs.open(file, "w");
        await pipeline(body as unknown as NodeJS.ReadableStream, meter, opened.createWriteStream());
        const found = hash.digest("hex");
        if (found !== expected.hex) throw new ChecksumError(url, expected, found);
    } catch (error) {
        await fs.rm(file, { force: true });
        if (error instanceof ChecksumError) throw error;
        throw new Error(`${url}: ${reason(error)}`, { cause: error });
    } finally {
        done();
    }
}

/**
 * Finds a file's digest in a publisher's checksum file: lines of `<hex>  <name>` (the name perhaps with `./` or `*` before
 * it), or one lone digest when the list is about that file only.
 */
export function digestFromList(list: string, fileName: string): Digest | undefined {
    const algorithms = { 40: "sha1", 64: "sha256", 128: "sha512" } as const;
    for (const line of list.split(/\r?\n/)) {
        const match = /^([0-9a-fA-F]+)(?:\s+[*]?(?:\.\/)?(\S+))?\s*$/.exec(line);
        if (!match || (match[2] !== undefined && match[2] !== fileName)) continue;
        const algorithm = algorithms[match[1].length as keyof typeof algorithms];
        if (algorithm) return { algorithm, hex: match[1].toLowerCase() };
    }
    return undefined;
}
