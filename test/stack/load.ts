// Load on a server: requests at a rate, which are counted.
import * as http from "node:http";

export interface Answers {
    answered: number;
    /** What came instead of the answer, by how often. */
    failed: Record<string, number>;
}

/**
 * Asks `url` so many times a second, by turns on a connection of its own and on one of those that are kept, until it is told to end. An answer that is
 * not `expected`, or takes longer than ten seconds, is one that failed.
 */
export function load(url: string, perSecond: number, expected: string): () => Promise<Answers> {
    const kept = new http.Agent({ keepAlive: true, maxSockets: 16 });
    const answers: Answers = { answered: 0, failed: {} };
    const failed = (why: string) => (answers.failed[why] = (answers.failed[why] ?? 0) + 1);
    const underWay = new Set<Promise<void>>();
    const ask = (agent: http.Agent | false) =>
        new Promise<void>((resolve) => {
            const end = (why?: string) => {
                if (why === undefined) answers.answered += 1;
                else failed(why);
                resolve();
            };
            const request = http.get(url, { agent, signal: AbortSignal.timeout(10_000) }, (response) => {
                let body = "";
                response.setEncoding("utf8");
                response.on("data", (part: string) => (body += part));
                response.on("error", (error) => end(error.message));
                response.on("end", () => {
                    const good = response.statusCode === 200 && body.trim() === expected;
                    end(good ? undefined : `${response.statusCode} ${body.trim()}`);
                });
            });
            request.on("error", (error) => end(error.message));
        });
    const begun = Date.now();
    let asked = 0;
    const timer = setInterval(() => {
        for (const due = ((Date.now() - begun) / 1000) * perSecond; asked < due; asked += 1) {
            const one = ask(asked % 2 === 0 && kept).finally(() => underWay.delete(one));
            underWay.add(one);
        }
    }, 10);
    return async () => {
        clearInterval(timer);
        await Promise.all(underWay);
        kept.destroy();
        return answers;
    };
}
