import { awaitRegistry } from "../../steps/registry/awaitRegistry";
import { removeTestRegistry, startTestRegistry, type TestRegistry } from "../parts";

const env = process.env as Record<string, string>;

/** Starts a registry that is empty, and returns its address (host:port) when it answers. */
export async function startRegistry(registry: TestRegistry): Promise<string> {
    const address = await startTestRegistry(env, registry);
    try {
        await awaitRegistry({ address, plainHttp: true, timeoutSeconds: 30 });
        return address;
    } catch (error) {
        await stopRegistry(registry);
        throw error;
    }
}

export function stopRegistry(registry: TestRegistry): Promise<void> {
    return removeTestRegistry(env, registry);
}
