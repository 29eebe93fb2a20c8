import * as http from "node:http";
import { removeTestRegistry, startTestRegistry, type TestRegistry } from "../parts";

const env = process.env as Record<string, string>;

/** Starts a registry that is empty, and returns its address (host:port) when it answers. */
export async function startRegistry(registry: TestRegistry): Promise<string> {
    const address = await startTestRegistry(env, registry);
    try {
        await answers(`http://${address}/v2/`);
        return address;
    } catch (error) {
        await stopRegistry(registry);
        throw error;
    }
}

export function stopRegistry(registry: TestRegistry): Promise<void> {
    return removeTestRegistry(env, registry);
}

/** Waits until there is any answer, for at most 30 s. */
async function answers(url: string): Promise<void> {
    const until = Date.now() + 30_000;
    for (;;) {
        try {
            return await answer(url);
        } catch (error) {
            if (Date.now() > until) throw new Error(`${url} does not answer within 30 s`, { cause: error });
            await new Promise((resolve) => setTimeout(resolve, 100));
        }
    }
}

/** Not by `fetch`: once it was left without an end by a registry that was just being started, and with nothing that keeps the process. */
function answer(url: string): Promise<void> {
    return new Promise((resolve, reject) => {
        const request = http.get(url, { agent: false, timeout: 5_000 }, (response) => {
            response.resume();
            resolve();
        });
        request.on("timeout", () => request.destroy(new Error("no answer within 5 s")));
        request.on("error", reject);
    });
}
