import type { AwaitRegistryInput, ObserveLossOutput, ObserveRegistryInput } from "../contract";
import { containers, standsStill, type Container } from "../lib/docker";
import { madeAt, notesWereLost, observeLoss, type JournalEntry } from "../lib/journal";
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
    const drift = async (entry: JournalEntry, loses: (why: string) => void) => {
        const { container } = entry.input as AwaitRegistryInput;
        if (container === undefined) return undefined;
        const found = (await containers(`id=${container.id}`)).at(0);
        const what = `registry container ${container.name}, seen ${madeAt(entry)},`;
        if (found === undefined) {
            const data = container.volume
                ? `the data of volume ${container.volume}`
                : "no data: all is pushed again";
            const instead = named ? ` (${madeByNobody(named)})` : "";
            loses(`${what} is gone${instead}: it is made anew, with ${data}`);
            return undefined;
        }
        if (!standsStill(found)) return undefined;
        return `${what} ${found.State.Paused ? "is paused" : "has stopped"}: it is started again`;
    };
    return observeLoss(resource, drift, (loses) => {
        // Where all notes were lost, it is the one that Pulumi knows, if it is there.
        if (notesWereLost()) {
            if (!named) loses(`registry container ${containerName} is gone: it is made anew`);
            return;
        }
        // Pulumi may know of it or not: made anew, it does.
        if (named) loses(`${madeByNobody(named)}: it is made anew`);
    });
}

function madeByNobody({ Name, Id }: Container): string {
    return `container ${Name.slice(1)} (${Id.slice(0, 12)}) was made by a run that was ended`;
}

step(module, "observeRegistry", input, observeRegistry);
