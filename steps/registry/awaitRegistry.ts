import type { AwaitRegistryInput, AwaitRegistryOutput } from "../contract";
import { StepError } from "../lib/errors";
import { askRegistry } from "./registry";
import { boolean, object, registry, seconds } from "../lib/schema";
import { pause, step } from "../lib/step";

const input = object<AwaitRegistryInput>({
    address: registry,
    plainHttp: boolean,
    timeoutSeconds: seconds,
});

/** Waits until the registry answers as one: its container runs before it listens. */
export async function awaitRegistry({
    address,
    plainHttp,
    timeoutSeconds,
}: AwaitRegistryInput): Promise<AwaitRegistryOutput> {
    const deadline = Date.now() + timeoutSeconds * 1000;
    for (;;) {
        const answer = await askRegistry(address, plainHttp, Math.min(5, timeoutSeconds));
        if (answer.serves) return { address };
        if (Date.now() >= deadline) {
            throw new StepError(
                `LocalRegistry: no registry answered at ${plainHttp ? "http" : "https"}://${address}/v2/ within timeoutSeconds ` +
                    `${timeoutSeconds}: ${answer.what}; expected 200 or 401`,
            );
        }
        await pause(50);
    }
}

step(module, "awaitRegistry", input, awaitRegistry);
