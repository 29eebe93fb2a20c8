import type { AwaitRegistryInput, AwaitRegistryOutput } from "../contract";
import { StepError } from "../lib/errors";
import { askRegistry } from "./registry";
import { containers, standsStill, startAgain } from "../lib/docker";
import { boolean, object, optional, registry, seconds, text } from "../lib/schema";
import { pause, progress, step } from "../lib/step";

const input = object<AwaitRegistryInput>({
    address: registry,
    plainHttp: boolean,
    timeoutSeconds: seconds,
    container: optional(object<Container>({ id: text, name: text, volume: optional(text) })),
    because: optional(text),
    lost: optional(text),
});

type Container = NonNullable<AwaitRegistryInput["container"]>;

/** Waits until the registry answers as one: its container runs before it listens. */
export async function awaitRegistry({
    address,
    plainHttp,
    timeoutSeconds,
    container,
}: AwaitRegistryInput): Promise<AwaitRegistryOutput> {
    if (container) await go(container);
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

/** Starts a container that has stopped or is paused. */
async function go({ id, name }: Container): Promise<void> {
    const container = (await containers(`id=${id}`)).at(0);
    // Where there is none, the registry does not answer, and that says it.
    if (container === undefined || !standsStill(container)) return;
    await startAgain(container);
    progress(`container ${name} is started again`);
}

step(module, "awaitRegistry", input, awaitRegistry);
