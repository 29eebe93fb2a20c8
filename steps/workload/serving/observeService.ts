import type {
    AwaitWorkloadInput,
    AwaitWorkloadOutput,
    ObserveLossOutput,
    ObserveServiceInput,
} from "../../contract";
import { entryOf, madeAt } from "../../lib/journal";
import { lookInto } from "../../lib/kube/kube";
import { progress } from "../../lib/progress";
import { StepError } from "../../lib/errors";
import { dnsLabel, object, optional, port, text } from "../../lib/schema";
import { step } from "../../lib/step";
import { fieldsOf, othersOf } from "../fields";
import { claimObjectFields, findNamed, refuseOthers, titleOf } from "../named/named";
import { goneness } from "../workload";

const input = object<ObserveServiceInput>({
    ...claimObjectFields,
    namespace: dnsLabel,
    name: dnsLabel,
    app: text,
    resource: text,
    nodePort: optional(port),
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
    if (entry !== undefined && made !== undefined && given.nodePort !== undefined)
        await refuseHeld(given, {
            ...given,
            namespace: (entry.input as AwaitWorkloadInput).namespace,
            name: made.name,
        });
    if (entry === undefined || made?.name !== given.name) return stays;
    const what = `${titleOf(given)}, made ${madeAt(entry)},`;
    const { serviceFields, serviceApplied } = (entry.output ?? {}) as Partial<AwaitWorkloadOutput>;
    const gone = goneness(now);
    if (now === undefined || gone !== undefined)
        return { ...stays, lost: said(`${what} ${gone}: it is made anew`) };
    // What was seen last may have been made otherwise: whatever came after it was not waited for to the end.
    return serviceApplied !== made.applied || fieldsOf(now) === serviceFields
        ? stays
        : { ...stays, because: said(`${what} was changed by ${othersOf(now)}: it is applied again`) };
}

/** The Service of another name that a new one takes the place of goes last, with its port of the nodes until then. */
async function refuseHeld(given: ObserveServiceInput, before: ObserveServiceInput): Promise<void> {
    if (before.name === given.name && before.namespace === given.namespace) return;
    const answer = await lookInto(given.kubeconfigFile, (kube) => findNamed(kube, before));
    if (!answer?.seen?.spec?.ports?.some(({ nodePort }) => nodePort === given.nodePort)) return;
    throw new StepError(
        `${titleOf(given)} is to have the nodePort ${given.nodePort}, which ${titleOf(before)} has until it is gone: take that away first, in an ` +
            "update of its own (without service), or give the new one another port",
    );
}

function said(why: string): string {
    progress(why);
    return why;
}

step(module, "observeService", input, observeService);
