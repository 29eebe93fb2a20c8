import type {
    ConnectRegistryInput,
    ConnectRegistryOutput,
    ObserveConnectionOutput,
    ObserveInput,
} from "../contract";
import { containerNamed } from "../lib/docker";
import { madeAt, observe } from "../lib/journal";
import { object, text } from "../lib/schema";
import { step } from "../lib/step";

const input = object<ObserveInput>({ resource: text });

/** Sees whether the registry's container is still where its step connected it, and why that must run again if not. */
export async function observeConnection({ resource }: ObserveInput): Promise<ObserveConnectionOutput> {
    let last: ConnectRegistryOutput | undefined;
    const { because } = await observe(resource, async (entry) => {
        if (entry.done) last = entry.output as ConnectRegistryOutput;
        const { containerName, network } = entry.input as ConnectRegistryInput;
        const found = await containerNamed(containerName);
        // One that is gone, and a cluster whose network is gone with it, are their own resources' matter.
        return found === undefined || network in found.NetworkSettings.Networks
            ? undefined
            : `container ${containerName}, connected ${madeAt(entry)}, is not on network ${network} any more: it is connected again`;
    });
    return { because, last };
}

step(module, "observeConnection", input, observeConnection);
