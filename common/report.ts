/** One piece of work that is being reported. */
export interface Progress {
    /** Says where the work is; shown at most once a second. */
    update(detail: string): void;
    /** Ends it well. */
    done(detail?: string): void;
    /** Ends it badly. */
    fail(detail: string): void;
}

/** Where progress goes. */
export interface Reporter {
    /** Begins a piece of work. */
    start(title: string): Progress;
    /** Says one thing. */
    note(message: string): void;
    /** Says one thing that the reader should not miss. */
    warn(message: string): void;
}

/** Seconds between two signs of life of a piece of work when nobody looks at a terminal. */
const QUIET_SECONDS = 15;

function seconds(since: number): string {
    return `${((Date.now() - since) / 1000).toFixed(1)} s`;
}

/**
 * Reports to standard error: one line at the start and one at the end of each piece of work; in between a line that
 * is rewritten each second on a terminal, or a new line every 15 seconds elsewhere (a CI log).
 */
export function consoleReporter(stream: NodeJS.WriteStream = process.stderr): Reporter {
    const live = stream.isTTY === true;
    const clear = () => (live ? stream.write("\r\x1b[2K") : undefined);
    const line = (text: string) => {
        clear();
        stream.write(`${text}\n`);
    };
    return {
        note: (message) => line(`  ${message}`),
        warn: (message) => line(`! ${message}`),
        start(title) {
            const begun = Date.now();
            let detail = "";
            let shown = begun;
            line(`> ${title}`);
            const timer = setInterval(() => {
                const text = `  ${title} (${seconds(begun)})${detail ? `: ${detail}` : ""}`;
                if (live) {
                    clear();
                    stream.write(text.slice(0, Math.max(20, (stream.columns ?? 100) - 1)));
                } else if (Date.now() - shown >= QUIET_SECONDS * 1000) {
                    shown = Date.now();
                    line(text);
                }
            }, 1000);
            timer.unref();
            const end = (mark: string, last?: string) => {
                clearInterval(timer);
                line(`${mark} ${title} (${seconds(begun)})${last ? `: ${last}` : ""}`);
            };
            return {
                update: (text) => (detail = text),
                done: (text) => end("✓", text),
                fail: (text) => end("✗", text),
            };
        },
    };
}
