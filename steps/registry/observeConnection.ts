import type { ConnectRegistryInput, ObserveConnectionInput, ObserveOutput } from "../contract";
import { containerNamed } from "../lib/docker";
import { because, entryOf, madeAt } from "../lib/journal";
import { object, text } from "../lib/schema";
import { step } from "../lib/step";

const input = object<ObserveConnectionInput>({ resource: text });

/** Sees whether the registry's container is still where its step connected it, and why that must run again if not. */
export async function observeConnection({ resource }: ObserveConnectionInput): Promise<ObserveOutput> {
    const entry = await entryOf(resource);
    if (entry?.output === undefined) return { because: because(entry, undefined) };
    const { containerName, network } = entry.input as ConnectRegistryInput;
    const found = await containerNamed(containerName);
    // One that is gone, and a cluster whose network is gone with it, are their own resources' matter.
    if (found === undefined || network in found.NetworkSettings.Networks)
        return { because: because(entry, undefined) };
    const off =
        `container ${containerName}, connected ${madeAt(entry)}, is not on network ${network} any more: ` +
        "it is connected again";
    return { because: because(entry, off) };
}

step(module, "observeConnection", input, observeConnection);
