import type { types } from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { WASM_ARCH } from "../defaults";
import type { WasmLimitsArgs, WasmProgramArgs, WasmVolumeArgs } from "./programArgs";
import { serves, type WasmServingArgs } from "./serving/servingArgs";
import { SERVING_GRACE_SECONDS, servingParts } from "./serving/servingParts";

/** Label of a workload's pods, by which they are found. */
export const APP_LABEL = "app";

/** Annotations of Krustlet's own, which let a program send HTTP requests. The node reads them of the pod. */
export const ALLOWED_DOMAINS = "alpha.wasi.krustlet.dev/allowed-domains";
export const MAX_REQUESTS = "alpha.wasi.krustlet.dev/max-concurrent-requests";

/** Where a pod has what the node reads of its annotations when the program starts, and not later. */
export const programAnnotations = [ALLOWED_DOMAINS, MAX_REQUESTS].map(
    (key) => `metadata.annotations["${key}"]`,
);

/** Annotation that says what the Kubernetes provider waits for. */
export const WAIT_FOR = "pulumi.com/waitFor";

/** What a pod of a WebAssembly program is made of. */
export interface PodTemplateArgs extends WasmProgramArgs, WasmServingArgs {
    /** Name of its container, and value of its label `app`. */
    name: pulumi.Input<string>;
    image: pulumi.Input<string>;
    restartPolicy: string;
    /** Host name of the node that it must run on. */
    node?: pulumi.Input<string>;
}

/** Where a pod for a WebAssembly node may run: there, and nowhere else. */
export const wasmNodeSelector = { "kubernetes.io/arch": WASM_ARCH };

/** The taints of a WebAssembly node, tolerated. */
export const wasmTolerations = [
    // Nobody sets up a pod network on a Wasm node; a cloud's controller may taint it for that.
    { key: "node.kubernetes.io/network-unavailable", operator: "Exists", effect: "NoSchedule" },
    { key: "kubernetes.io/arch", operator: "Equal", value: WASM_ARCH, effect: "NoExecute" },
    { key: "kubernetes.io/arch", operator: "Equal", value: WASM_ARCH, effect: "NoSchedule" },
];

/** The pod that runs a WebAssembly program on a Wasm node. */
export function podTemplate(args: PodTemplateArgs) {
    const nodeSelector: Record<string, pulumi.Input<string>> = { ...wasmNodeSelector };
    if (args.node !== undefined) nodeSelector["kubernetes.io/hostname"] = args.node;
    const container: types.input.core.v1.Container = {
        name: args.name,
        image: args.image,
        args: args.args,
        env: variables(args),
        envFrom: each(args.envFrom, ({ configMap, secret, prefix, optional }) => ({
            prefix,
            configMapRef: configMap === undefined ? undefined : { name: configMap, optional },
            secretRef: secret === undefined ? undefined : { name: secret, optional },
        })),
        volumeMounts: each(args.volumes, ({ name, mountPath, readOnly }) => ({ name, mountPath, readOnly })),
        resources: args.limits && { limits: pulumi.output(args.limits).apply(limitsOf) },
        ...servingParts(args),
    };
    return {
        metadata: {
            labels: together(args.labels, { [APP_LABEL]: args.name }),
            annotations: together(args.annotations, httpAnnotations(args)),
        },
        spec: {
            // A Wasm program cannot speak to the API server, so it gets no credential for it.
            automountServiceAccountToken: false,
            containers: [container],
            imagePullSecrets: args.imagePullSecrets && pullSecrets(args.imagePullSecrets),
            restartPolicy: args.restartPolicy,
            terminationGracePeriodSeconds:
                args.terminationGracePeriodSeconds ?? (serves(args) ? SERVING_GRACE_SECONDS : 1),
            nodeSelector,
            tolerations: wasmTolerations,
            volumes: each(args.volumes, volume),
        },
    };
}

/** Secrets by their names. No list at all where there are none, which the SDK's types cannot say of an Output. */
function pullSecrets(names: pulumi.Input<pulumi.Input<string>[]>): pulumi.Output<{ name: string }[]> {
    const secrets = pulumi
        .output(names)
        .apply((known) => (known.length === 0 ? undefined : known.map((name) => ({ name }))));
    return secrets as pulumi.Output<{ name: string }[]>;
}

/** A list of what each item of another one means; undefined where there is none. Anything of it may be still to come. */
function each<T, R>(
    list: pulumi.Input<T[]> | undefined,
    change: (item: pulumi.Unwrap<T>) => R,
): pulumi.Output<R[]> | undefined {
    if (list === undefined) return undefined;
    return pulumi.output(list).apply((items) => (items as pulumi.Unwrap<T>[]).map(change));
}

export type Texts = Record<string, pulumi.Input<string>>;

/** The maps in one; undefined where there is none. Of what several set, the last one counts. */
export function together(...maps: (pulumi.Input<Texts> | undefined)[]): pulumi.Input<Texts> | undefined {
    const given = maps.filter((one) => one !== undefined);
    if (given.length < 2) return given.at(0);
    return pulumi.all(given).apply((all) => Object.assign({}, ...all) as Record<string, string>);
}

function httpAnnotations({ allowedDomains, maxConcurrentRequests }: PodTemplateArgs): Texts | undefined {
    if (allowedDomains === undefined && maxConcurrentRequests === undefined) return undefined;
    return {
        ...(allowedDomains !== undefined && { [ALLOWED_DOMAINS]: pulumi.jsonStringify(allowedDomains) }),
        ...(maxConcurrentRequests !== undefined && {
            [MAX_REQUESTS]: pulumi.interpolate`${maxConcurrentRequests}`,
        }),
    };
}

function variables({ env, envValueFrom }: PodTemplateArgs): types.input.core.v1.Container["env"] {
    const single = each(envValueFrom, ({ name, configMap, secret, key, optional }) => ({
        name,
        valueFrom: {
            configMapKeyRef: configMap === undefined ? undefined : { name: configMap, key, optional },
            secretKeyRef: secret === undefined ? undefined : { name: secret, key, optional },
        },
    }));
    if (env === undefined) return single;
    return pulumi
        .all([env, single ?? []])
        .apply(([all, more]) => [...Object.entries(all).map(([name, value]) => ({ name, value })), ...more]);
}

function volume({
    name,
    configMap,
    secret,
    emptyDir,
    hostPath,
}: pulumi.Unwrap<WasmVolumeArgs>): types.input.core.v1.Volume {
    return {
        name,
        configMap: configMap === undefined ? undefined : { name: configMap },
        secret: secret === undefined ? undefined : { secretName: secret },
        emptyDir: emptyDir && { ...emptyDir },
        hostPath: hostPath === undefined ? undefined : { path: hostPath },
    };
}

function limitsOf({ memory, cpu }: pulumi.Unwrap<WasmLimitsArgs>): Record<string, string> {
    return { ...(memory !== undefined && { memory }), ...(cpu !== undefined && { cpu }) };
}
