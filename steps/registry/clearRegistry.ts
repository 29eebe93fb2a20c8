import type { ClearRegistryInput } from "../contract";
import { ownContainer } from "./container/ownContainer";
import { removeContainers } from "../lib/docker";
import { object, optional, text } from "../lib/schema";
import { progress, step } from "../lib/step";

const input = object<ClearRegistryInput>({ containerName: text, lost: optional(text) });

/**
 * Makes room for a registry's container: one of that name that this very stack made, in a run that was ended before Pulumi had written it
 * down, would be a conflict at each update from then on.
 */
export async function clearRegistry({ containerName }: ClearRegistryInput): Promise<Record<string, never>> {
    const found = await ownContainer(containerName);
    if (found) {
        await removeContainers([found.Id]);
        progress(`container ${containerName} (${found.Id.slice(0, 12)}) is removed, to be made anew`);
    }
    return {};
}

step(module, "clearRegistry", input, clearRegistry);
