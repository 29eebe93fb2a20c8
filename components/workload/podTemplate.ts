import type { types } from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { WASM_ARCH } from "../defaults";

/** What a pod of a WebAssembly program is made of. */
export interface PodTemplateArgs {
    /** Name of its container, and value of its label `app`. */
    name: pulumi.Input<string>;
    image: pulumi.Input<string>;
    args?: pulumi.Input<pulumi.Input<string>[]>;
    env?: pulumi.Input<Record<string, pulumi.Input<string>>>;
    restartPolicy: string;
    terminationGracePeriodSeconds: pulumi.Input<number>;
    /** Names of Secrets with logins of registries. */
    imagePullSecrets?: pulumi.Input<pulumi.Input<string>[]>;
    /** Host name of the node that it must run on. */
    node?: pulumi.Input<string>;
}

/** The pod that runs a WebAssembly program on a Wasm node. */
export function podTemplate(args: PodTemplateArgs) {
    const nodeSelector: Record<string, pulumi.Input<string>> = { "kubernetes.io/arch": WASM_ARCH };
    if (args.node !== undefined) nodeSelector["kubernetes.io/hostname"] = args.node;
    const env =
        args.env === undefined
            ? undefined
            : pulumi
                  .output(args.env)
                  .apply((all) => Object.entries(all).map(([name, value]) => ({ name, value })));
    const container: types.input.core.v1.Container = {
        name: args.name,
        image: args.image,
        args: args.args,
        env,
    };
    return {
        metadata: { labels: { app: args.name } },
        spec: {
            // A Wasm program cannot speak to the API server, so it gets no credential for it.
            automountServiceAccountToken: false,
            containers: [container],
            imagePullSecrets:
                args.imagePullSecrets &&
                pulumi
                    .output(args.imagePullSecrets)
                    .apply((names) => (names.length === 0 ? undefined : names.map((name) => ({ name })))),
            restartPolicy: args.restartPolicy,
            terminationGracePeriodSeconds: args.terminationGracePeriodSeconds,
            nodeSelector,
            tolerations: [
                // Nobody sets up a pod network on a Wasm node; a cloud's controller may taint it for that.
                { key: "node.kubernetes.io/network-unavailable", operator: "Exists", effect: "NoSchedule" },
                { key: "kubernetes.io/arch", operator: "Equal", value: WASM_ARCH, effect: "NoExecute" },
                { key: "kubernetes.io/arch", operator: "Equal", value: WASM_ARCH, effect: "NoSchedule" },
            ],
        },
    };
}
