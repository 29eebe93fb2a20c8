import { withTestRegistry, type TestRegistry } from "../parts";

/** Runs `use` with the address (host:port) of an empty registry that answers. */
export function withRegistry<T>(registry: TestRegistry, use: (address: string) => Promise<T>): Promise<T> {
    return withTestRegistry({ env: process.env as Record<string, string> }, registry, async (address) => {
        await answers(`http://${address}/v2/`);
        return use(address);
    });
}

/** Waits until there is any answer, for at most 30 s. */
async function answers(url: string): Promise<void> {
    const until = Date.now() + 30_000;
    for (;;) {
        try {
            await fetch(url, { signal: AbortSignal.timeout(5_000) });
            return;
        } catch (error) {
            if (Date.now() > until) throw new Error(`${url} does not answer within 30 s`, { cause: error });
            await new Promise((resolve) => setTimeout(resolve, 100));
        }
    }
}
