import type { KubeletApprovalOutput, ObserveKubeletsInput, ObserveOutput } from "../contract";
import {
    certificateRequests,
    type CertificateSigningRequest,
} from "../node/certificates/certificateRequests";
import { madeAt, observe, type JournalEntry } from "../lib/journal";
import { lookInto } from "../lib/kube/kube";
import { object, text } from "../lib/schema";
import { step } from "../lib/step";
import { awaitsServing } from "./kubelets";

const input = object<ObserveKubeletsInput>({ resource: text, kubeconfigFile: text });

/**
 * Sees whether a kubelet of kind's own waits for another serving certificate, as it does when its address is another one, and before its
 * certificate ends. Without it nobody could read logs there.
 */
export function observeKubelets({ resource, kubeconfigFile }: ObserveKubeletsInput): Promise<ObserveOutput> {
    return observe(resource, (entry) => driftOf(kubeconfigFile, entry));
}

async function driftOf(kubeconfigFile: string, entry: JournalEntry): Promise<string | undefined> {
    const names = Object.keys((entry.output as KubeletApprovalOutput).requests);
    if (names.length === 0) return undefined;
    const answer = await lookInto(kubeconfigFile, (kube) =>
        kube.get<{ items: CertificateSigningRequest[] }>(certificateRequests),
    );
    const waiting = answer?.seen.items.find((request) => names.some((name) => awaitsServing(request, name)));
    if (waiting === undefined) return undefined;
    const { metadata, spec } = waiting;
    const who = `kubelet ${spec.username?.replace(/^system:node:/, "")}, certified ${madeAt(entry)},`;
    return `${who} asks for another serving certificate (${metadata.name}): that is decided on`;
}

step(module, "observeKubelets", input, observeKubelets);
