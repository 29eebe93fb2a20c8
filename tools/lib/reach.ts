/** Whether official releases can be had, and why not. */
export interface Reach {
    reachable: boolean;
    /** One clause: what was tried and what came of it. */
    because: string;
}

/** Longest that the question may take. */
const LIMIT_SECONDS = 3;

/** Asks a release server for its headers. Any HTTP answer that is no error of the server or of a proxy counts. */
export async function probe(url: string, limitSeconds = LIMIT_SECONDS): Promise<Reach> {
    const { host } = new URL(url);
    try {
        const response = await fetch(url, {
            method: "HEAD",
            redirect: "manual",
            signal: AbortSignal.timeout(limitSeconds * 1000),
        });
        await response.body?.cancel();
        // 200 or a redirect to the file; 403, 407 and 5xx come from gateways that do not let it through.
        if (response.status < 400) return { reachable: true, because: `${host} answers` };
        return { reachable: false, because: `${host} answers with HTTP status ${response.status}` };
    } catch (error) {
        const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
        const timedOut = error instanceof Error && error.name === "TimeoutError";
        const why = timedOut
            ? `no answer within ${limitSeconds} s`
            : cause instanceof Error
              ? cause.message
              : String(cause);
        return { reachable: false, because: `${host} cannot be reached (${why})` };
    }
}
