import type {
    AwaitWorkloadInput,
    AwaitWorkloadOutput,
    ObserveLossOutput,
    ObserveServiceInput,
} from "../../contract";
import { RESOURCE_LABEL } from "../../host/contract";
import { StepError } from "../../lib/errors";
import { entryOf, madeAt } from "../../lib/journal";
import { lookInto } from "../../lib/kube/kube";
import { progress } from "../../lib/progress";
import { dnsLabel, object, text } from "../../lib/schema";
import { step } from "../../lib/step";
import { fieldsOf, othersOf } from "../fields";
import { findService, isOurs, refuseStolen } from "./service";

const input = object<ObserveServiceInput>({
    resource: text,
    kubeconfigFile: text,
    namespace: dnsLabel,
    name: dnsLabel,
    label: text,
    app: text,
});

/**
 * Sees whether a workload's Service is still what was applied, and what must be done if not. Fails where one of that name is somebody
 * else's: its name is given, and by server-side apply Pulumi would take it over, and delete it in the end.
 */
export async function observeService(given: ObserveServiceInput): Promise<ObserveLossOutput> {
    const { resource, kubeconfigFile, namespace, name, label, app } = given;
    // The Service itself waits for no other look: by a new name it would end the old one's.
    await refuseStolen(resource);
    const entry = await entryOf(resource);
    const made = (entry?.input as AwaitWorkloadInput | undefined)?.service;
    const stays: ObserveLossOutput = { because: made?.because, lost: made?.lost };
    const answer = await lookInto(kubeconfigFile, (kube) => findService(kube, namespace, name));
    if (answer === undefined) return stays;
    const now = answer.seen;
    if (now !== undefined && !isOurs(now, made)) {
        throw new StepError(
            `Service ${namespace}/${name} is there already, and is not this stack's: it is left as it is; give the workload's another name ` +
                "(service.name), or delete that one",
        );
    }
    const { [RESOURCE_LABEL]: itsLabel, app: itsApp } = now?.metadata.labels ?? {};
    // One whose component has another name by now (an alias) has its workload's label still.
    if (now !== undefined && now.metadata.uid !== made?.uid && itsLabel !== label && itsApp !== app) {
        throw new StepError(
            `Service ${namespace}/${name} is that of this stack's workload "${itsApp}", which would take it along when it loses it: remove it ` +
                "there first, in an update of its own, or give this one another name (service.name)",
        );
    }
    if (entry === undefined || made?.name !== name) return stays;
    const what = `Service ${namespace}/${name}, made ${madeAt(entry)},`;
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
