import type { AwaitRegistryInput, ObserveLossOutput, ObserveRegistryInput } from "../contract";
import { containers, type Container } from "../lib/docker";
import { entryOf, madeAt, observe } from "../lib/journal";
import { object, text } from "../lib/schema";
import { progress, step } from "../lib/step";
import { ownContainer } from "./clearRegistry";

const input = object<ObserveRegistryInput>({ resource: text, containerName: text });

/** Sees whether the container of a registry is still there and running, and what must be done if not. */
export async function observeRegistry({
    resource,
    containerName,
}: ObserveRegistryInput): Promise<ObserveLossOutput> {
    const [before, named] = await Promise.all([entryOf(resource), ownContainer(containerName)]);
    let lost = before?.input.lost;
    const loses = (why: string) => {
        lost = why;
        progress(why);
    };
    // Pulumi may know of it or not: made anew, it does.
    if (before === undefined && named) loses(`${madeByNobody(named)}: it is made anew`);
    const found = await observe(resource, async (entry) => {
        const { container } = entry.input as AwaitRegistryInput;
        if (container === undefined) return undefined;
        const state = (await containers(`id=${container.id}`)).at(0)?.State;
        const what = `registry container ${container.name}, seen ${madeAt(entry)},`;
        if (state === undefined) {
            const data = container.volume
                ? `the data of volume ${container.volume}`
                : "no data: all is pushed again";
            const instead = named ? ` (${madeByNobody(named)})` : "";
            loses(`${what} is gone${instead}: it is made anew, with ${data}`);
            return undefined;
        }
        if (state.Running && !state.Paused) return undefined;
        return `${what} ${state.Paused ? "is paused" : "has stopped"}: it is started again`;
    });
    return { ...found, lost };
}

function madeByNobody({ Name, Id }: Container): string {
    return `container ${Name.slice(1)} (${Id.slice(0, 12)}) was made by a run that was ended`;
}

step(module, "observeRegistry", input, observeRegistry);
