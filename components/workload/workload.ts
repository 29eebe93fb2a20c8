import type { types } from "@pulumi/kubernetes";
import type { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { createHash } from "node:crypto";
import type { AwaitWorkloadInput, ObserveLossOutput } from "../../steps/contract";
import type { WorkloadKind } from "../../steps/workload/contract";
import { clusterObjectOptions } from "../options";
import * as rules from "../rules";
import { stepInvoke, stepResource } from "../step";
import { checkArgs, required, text, type Rules } from "../validation";
import { APP_LABEL, podTemplate, together, WAIT_FOR, type Texts } from "./podTemplate";
import type { RestartPolicy, WasmProgramArgs, WasmWaitArgs } from "./programArgs";
import { programProblems, rulesOf } from "./programRules";
import { holdsPort, type WasmServingArgs } from "./serving/servingArgs";
import { crowdProblems } from "./serving/servingRules";

/** Arguments of every workload that is a component of its own. */
export interface WasmWorkloadArgs extends WasmProgramArgs {
    /**
     * The module, by digest: `WasmArtifact.reference`. Required. Example: `localhost:5001/demo/hello-wasm@sha256:…`.
     */
    image: pulumi.Input<string>;
    /** Name of the container, and value of the label `app`. Default: the component's name. */
    appName?: pulumi.Input<string>;
    /** Host name of the node that it must run on: `KrustletNode.hostname`. Default: any Wasm node. */
    node?: pulumi.Input<string>;
}

/** Arguments of a workload that the update waits for. */
export interface WasmAwaitArgs extends WasmWaitArgs {
    /**
     * Path of a kubeconfig for the cluster, with which the workload is waited for, and by which is seen whose the name of its Service is:
     * `KindCluster.kubeconfigFile`. Required unless `wait` is false and there is no `service`. Example: `~/.kube/config`.
     */
    kubeconfigFile?: pulumi.Input<string>;
}

/** How long a workload may take to be Ready or complete, in seconds. */
const WAIT_SECONDS = 600;

/** Why an object was made anew or applied again last. Another value of the first makes it anew. */
const LOST = "krustlet-stack/lost";
const BECAUSE = "krustlet-stack/because";

/** Has the provider apply what is ours over what somebody else set: https://www.pulumi.com/registry/packages/kubernetes/ */
const FORCE = "pulumi.com/patchForce";

/** Names whom the provider applies an object as: it would be known by another name each time it is made. Same page. */
export const FIELD_MANAGER = "pulumi.com/patchFieldManager";

/** What the provider waits for: nothing but that the object is there. awaitWorkload does the rest. */
export const thereAtOnce = { [WAIT_FOR]: "jsonpath={.metadata.uid}" };

/** The arguments of any kind, when they have been checked. */
type CheckedArgs = WasmWorkloadArgs & WasmAwaitArgs & WasmServingArgs & { restartPolicy?: RestartPolicy };
/** What is waited for; `autoscaled` is a Deployment's. */
type AwaitedArgs = WasmAwaitArgs & WasmServingArgs & { autoscaled?: boolean };

/** What the component of any kind makes its object of. */
export interface Workload<A> {
    kind: WorkloadKind;
    /** The arguments, checked. */
    args: A;
    metadata: {
        namespace: pulumi.Input<string>;
        labels?: pulumi.Input<Texts>;
        annotations?: pulumi.Input<Texts>;
    };
    selector: { matchLabels: Record<string, pulumi.Input<string>> };
    template: ReturnType<typeof podTemplate>;
    /** What has become of it; undefined where nothing waits for it. */
    observed: pulumi.Output<ObserveLossOutput> | undefined;
    /** Options of the object. */
    opts: pulumi.CustomResourceOptions;
}

/**
 * Checks the arguments of a workload's component, and says what its object is made of: a pod that tolerates the taints of Wasm nodes and
 * selects them, for tolerations alone let the scheduler put it on an ordinary node as well.
 */
export function workload<A extends WasmWorkloadArgs>(
    component: pulumi.ComponentResource,
    kind: WorkloadKind,
    name: string,
    args: A,
    restartPolicy: RestartPolicy,
    opts: pulumi.ComponentResourceOptions | undefined,
): Workload<A> {
    const type = `Wasm${kind}`;
    const own: Rules<WasmWorkloadArgs> = {
        ...rulesOf(kind),
        image: required(rules.imageByDigest, "artifact.reference"),
        appName: rules.dnsLabel,
        node: rules.nodeName,
    };
    const awaited = kind !== "CronJob";
    const given = Object(args) as A;
    const { kubeconfigFile, wait } = given as WasmAwaitArgs;
    const named = (given as WasmServingArgs).service !== undefined;
    const blind = awaited && kubeconfigFile === undefined && (wait !== false || named);
    const message = named
        ? "is missing, and by it is seen whose the Service's name is; for example cluster.kubeconfigFile"
        : "is missing; for example cluster.kubeconfigFile, or set wait to false";
    const checked: CheckedArgs = checkArgs<A>(
        type,
        name,
        args,
        { ...own, ...(awaited && { kubeconfigFile: text }) } as Rules<A>,
        [
            ...programProblems(given),
            ...crowdProblems(given),
            ...(blind ? [{ path: "kubeconfigFile", message }] : []),
        ],
    );
    const labels = { [APP_LABEL]: checked.appName ?? name };
    const observed =
        awaited && checked.kubeconfigFile !== undefined && checked.wait !== false
            ? stepInvoke("observeWorkload", { resource: `${name}-ready` }, { parent: component })
            : undefined;
    return {
        kind,
        args: checked as A & CheckedArgs,
        metadata: {
            namespace: checked.namespace ?? "default",
            labels: together(checked.labels, labels),
            annotations: together(checked.annotations, thereAtOnce, observed?.apply(reasons)),
        },
        selector: { matchLabels: labels },
        template: podTemplate({
            ...checked,
            name: checked.appName ?? name,
            restartPolicy: checked.restartPolicy ?? restartPolicy,
        }),
        observed,
        opts: {
            ...clusterObjectOptions(component, type, name, opts),
            dependsOn: opts?.dependsOn,
            ...(observed && { replaceOnChanges: [`metadata.annotations["${LOST}"]`] }),
            // A pod that comes before its predecessor has gone would wait for that one's port.
            ...(holdsPort(checked) && { deleteBeforeReplace: true }),
        },
    };
}

/** The annotations by which an object is mended that the provider takes for unchanged: it does not look at the cluster. */
export function reasons({ because, lost }: ObserveLossOutput): Texts {
    return {
        ...(lost !== undefined && { [LOST]: lost }),
        ...(because !== undefined && { [BECAUSE]: because, [FORCE]: "true" }),
    };
}

/**
 * Waits until a workload is Ready or complete, at each roll-out: for another object, and for another state of the same one. Where it
 * does not get there, the error shows the pods, their events and their last log lines.
 */
export function awaitReady(
    component: pulumi.ComponentResource,
    name: string,
    { kind, args, observed }: Workload<AwaitedArgs>,
    { metadata }: { metadata: pulumi.Output<types.output.meta.v1.ObjectMeta> },
    made: object,
    service?: pulumi.Input<AwaitWorkloadInput["service"]>,
): local.Command | undefined {
    const { waitTimeoutSeconds, kubeconfigFile } = args;
    if (observed === undefined || kubeconfigFile === undefined) return undefined;
    return stepResource(
        `${name}-ready`,
        {
            create: "awaitWorkload",
            delete: "forget",
            input: {
                kubeconfigFile,
                kind,
                namespace: metadata.namespace,
                name: metadata.name,
                uid: metadata.uid,
                // Pods of older clusters have none. An autoscaler's changes are none of this program's.
                generation:
                    args.autoscaled === true
                        ? 0
                        : pulumi.output(metadata.generation).apply((known?: number) => known ?? 0),
                timeoutSeconds: waitTimeoutSeconds ?? WAIT_SECONDS,
                applied: digestOf(made),
                ...(holdsPort(args) && { alone: true }),
                service,
                because: observed.because,
                lost: observed.lost,
            },
        },
        { parent: component },
    ).command;
}

/** SHA-256 (hex) of what an object is made of. */
export function digestOf(made: object): pulumi.Output<string> {
    return pulumi.jsonStringify(made).apply((text) => createHash("sha256").update(text).digest("hex"));
}

/** What a workload is called, known when it is there. */
export function nameOf(
    { namespace }: Workload<unknown>["metadata"],
    { metadata }: { metadata: pulumi.Output<types.output.meta.v1.ObjectMeta> },
): { name: pulumi.Output<string>; namespace: pulumi.Output<string> } {
    // A secret label or annotation makes a secret of all of the metadata; the name is none.
    const name = pulumi.unsecret(metadata.name);
    return { name, namespace: pulumi.all([namespace, name]).apply(([known]) => known) };
}

/** Shows the log of a workload. Wants a KUBECONFIG for the cluster. */
export function logsCommand(
    kind: WorkloadKind,
    { name, namespace }: ReturnType<typeof nameOf>,
): pulumi.Output<string> {
    return pulumi.interpolate`kubectl logs --namespace ${namespace} ${kind.toLowerCase()}/${name}`;
}
