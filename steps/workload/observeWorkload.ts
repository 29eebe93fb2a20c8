import type { AwaitWorkloadInput, AwaitWorkloadOutput, ObserveInput, ObserveLossOutput } from "../contract";
import { lookInto } from "../lib/kube/kube";
import { madeAt, observeLoss } from "../lib/journal";
import { object, text } from "../lib/schema";
import { step } from "../lib/step";
import { fieldsOf, othersOf } from "./fields";
import { goneness, type WorkloadObject } from "./workload";
import { collectionOf } from "./workloadLook";

const input = object<ObserveInput>({ resource: text });

/** Sees whether a workload is still what was applied, and what must be done if not. */
export function observeWorkload({ resource }: ObserveInput): Promise<ObserveLossOutput> {
    return observeLoss(resource, async (entry, loses) => {
        if (entry?.output === undefined) return undefined;
        const { kind, namespace, name, uid, kubeconfigFile } = entry.input as AwaitWorkloadInput;
        const { fields, passing } = entry.output as AwaitWorkloadOutput;
        const path = `${collectionOf({ kind, namespace, name })}/${name}`;
        const answer = await lookInto(kubeconfigFile, (kube) => kube.find<WorkloadObject>(path));
        if (answer === undefined) return undefined;
        const what = `${kind} ${namespace}/${name}, made ${madeAt(entry)},`;
        const now = answer.seen;
        const gone = goneness(now, uid);
        if (now === undefined || gone !== undefined) {
            if (!passing) loses(`${what} ${gone}: it is made anew`);
            return undefined;
        }
        return fields === undefined || fieldsOf(now) === fields
            ? undefined
            : `${what} was changed by ${othersOf(now)}: it is applied again`;
    });
}

step(module, "observeWorkload", input, observeWorkload);
