import type { AwaitRegistryInput, ObserveLossOutput, ObserveRegistryInput } from "../contract";
import { currentClaim } from "../lib/claim";
import { containers, standsStill, type Container } from "../lib/docker";
import { madeAt, notesWereLost, observeLoss, writeEntry } from "../lib/journal";
import { object, text } from "../lib/schema";
import { step } from "../lib/step";
import { ownContainer } from "./container/ownContainer";

const input = object<ObserveRegistryInput>({ resource: text, containerName: text });

/** Sees whether the container of a registry is still there and running, and what must be done if not. */
export async function observeRegistry({
    resource,
    containerName,
}: ObserveRegistryInput): Promise<ObserveLossOutput> {
    const named = await ownContainer(containerName);
    return observeLoss(resource, async (entry, loses) => {
        const { container } = (entry?.input ?? {}) as Partial<AwaitRegistryInput>;
        const found = container && (await containers(`id=${container.id}`)).at(0);
        const what = entry && `registry container ${containerName}, seen ${madeAt(entry)},`;
        if (found !== undefined) {
            if (!standsStill(found)) return undefined;
            return `${what} ${found.State.Paused ? "is paused" : "has stopped"}: it is started again`;
        }
        const data = container?.volume
            ? `the data of volume ${container.volume}`
            : "no data: all is pushed again";
        if (named === undefined) {
            if (container !== undefined) loses(`${what} is gone: it is made anew, with ${data}`);
            else if (entry === undefined && notesWereLost())
                loses(`registry container ${containerName} is gone: it is made anew`);
            return undefined;
        }
        // Where all notes were lost, it is the one that Pulumi knows. Else Pulumi may know of it or not: made anew, it does.
        if (entry === undefined && notesWereLost()) return undefined;
        const why = madeByNobody(named);
        const lost = container
            ? `${what} is gone (${why}): it is made anew, with ${data}`
            : `${why}: it is made anew`;
        loses(lost);
        await remember(resource, lost);
        return undefined;
    });
}

/**
 * Writes down why a container is made anew, before that is begun: where the run is ended once the old one is gone, nothing else tells that
 * Pulumi's state has what is there no more.
 */
async function remember(resource: string, lost: string): Promise<void> {
    const claim = currentClaim();
    if (claim)
        await writeEntry(claim, { resource, undo: "forget", input: { lost }, done: false, at: Date.now() });
}

function madeByNobody({ Name, Id }: Container): string {
    return `container ${Name.slice(1)} (${Id.slice(0, 12)}) was made by a run that was ended`;
}

step(module, "observeRegistry", input, observeRegistry);
