import type {
    AwaitWorkloadInput,
    AwaitWorkloadOutput,
    ObserveLossOutput,
    ObserveServiceInput,
} from "../../contract";
import { entryOf, madeAt } from "../../lib/journal";
import { lookInto } from "../../lib/kube/kube";
import { progress } from "../../lib/progress";
import { dnsLabel, object, text } from "../../lib/schema";
import { step } from "../../lib/step";
import { fieldsOf, othersOf } from "../fields";
import { claimObjectFields, findNamed, refuseOthers, titleOf } from "../named/named";

const input = object<ObserveServiceInput>({
    ...claimObjectFields,
    namespace: dnsLabel,
    name: dnsLabel,
    app: text,
    resource: text,
});

/**
 * Sees whether a workload's Service is still what was applied, and what must be done if not. Fails where one of that name is somebody
 * else's: its name is given, and by server-side apply Pulumi would take it over.
 */
export async function observeService(given: ObserveServiceInput): Promise<ObserveLossOutput> {
    const entry = await entryOf(given.resource);
    const made = (entry?.input as AwaitWorkloadInput | undefined)?.service;
    const stays: ObserveLossOutput = { because: made?.because, lost: made?.lost };
    const answer = await lookInto(given.kubeconfigFile, (kube) => findNamed(kube, given));
    if (answer === undefined) return stays;
    const now = answer.seen;
    await refuseOthers(given, now);
    if (entry === undefined || made?.name !== given.name) return stays;
    const what = `${titleOf(given)}, made ${madeAt(entry)},`;
    const { serviceFields, serviceApplied } = (entry.output ?? {}) as Partial<AwaitWorkloadOutput>;
    if (now === undefined) return { ...stays, lost: said(`${what} is gone: it is made anew`) };
    // What was seen last may have been made otherwise: whatever came after it was not waited for to the end.
    return serviceApplied !== made.applied || fieldsOf(now) === serviceFields
        ? stays
        : { ...stays, because: said(`${what} was changed by ${othersOf(now)}: it is applied again`) };
}

function said(why: string): string {
    progress(why);
    return why;
}

step(module, "observeService", input, observeService);
