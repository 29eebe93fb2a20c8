import type {
    AwaitWorkloadInput,
    AwaitWorkloadOutput,
    ObserveLossOutput,
    ObserveServiceInput,
} from "../../contract";
import { CLAIM_LABEL } from "../../host/contract";
import { currentClaim } from "../../lib/claim";
import { StepError } from "../../lib/errors";
import { entryOf, madeAt } from "../../lib/journal";
import { lookInto } from "../../lib/kube/kube";
import { progress } from "../../lib/progress";
import { dnsLabel, object, text } from "../../lib/schema";
import { step } from "../../lib/step";
import { fieldsOf, othersOf } from "../fields";
import { findService } from "./service";

const input = object<ObserveServiceInput>({
    resource: text,
    kubeconfigFile: text,
    namespace: dnsLabel,
    name: dnsLabel,
});

/**
 * Sees whether a workload's Service is still what was applied, and what must be done if not. Fails where one of that name is somebody
 * else's: its name is given, and by server-side apply Pulumi would take it over, and delete it in the end.
 */
export async function observeService(given: ObserveServiceInput): Promise<ObserveLossOutput> {
    const { resource, kubeconfigFile, namespace, name } = given;
    const entry = await entryOf(resource);
    const made = (entry?.input as AwaitWorkloadInput | undefined)?.service;
    const stays: ObserveLossOutput = { because: made?.because, lost: made?.lost };
    const answer = await lookInto(kubeconfigFile, (kube) => findService(kube, namespace, name));
    if (answer === undefined) return stays;
    const now = answer.seen;
    if (now !== undefined && now.metadata.labels?.[CLAIM_LABEL] !== (currentClaim()?.id ?? "")) {
        throw new StepError(
            `Service ${namespace}/${name} is there already, and is not this stack's: it is left as it is; give the workload's another name ` +
                "(service.name), or delete that one",
        );
    }
    if (entry === undefined || made?.name !== name) return stays;
    const what = `Service ${namespace}/${name}, made ${madeAt(entry)},`;
    const { serviceFields } = (entry.output ?? {}) as Partial<AwaitWorkloadOutput>;
    if (now === undefined) return { ...stays, lost: said(`${what} is gone: it is made anew`) };
    return serviceFields === undefined || fieldsOf(now) === serviceFields
        ? stays
        : { ...stays, because: said(`${what} was changed by ${othersOf(now)}: it is applied again`) };
}

function said(why: string): string {
    progress(why);
    return why;
}

step(module, "observeService", input, observeService);
