import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import * as rules from "../../rules";
import { laterCheck } from "../../validation";
import { thereAtOnce, type Workload } from "../workload";
import { containerPortOf } from "./servingParts";
import type { WasmServingArgs } from "./servingArgs";

/** A workload's Service, and what its component tells of it: all undefined where there is none. */
export interface WorkloadService {
    object: kubernetes.core.v1.Service | undefined;
    serviceName: pulumi.Output<string | undefined>;
    url: pulumi.Output<string | undefined>;
}

/** The Service that leads to a workload's pods, by the label that they are found by. */
export function workloadService(
    name: string,
    { args, metadata, selector, opts }: Workload<WasmServingArgs & { appName?: pulumi.Input<string> }>,
): WorkloadService {
    const { service } = args;
    if (service === undefined) {
        const none = pulumi.output<string | undefined>(undefined);
        return { object: undefined, serviceName: none, url: none };
    }
    const given = pulumi.output(service);
    const targetPort = containerPortOf(args);
    const port = pulumi.all([given, targetPort]).apply(([one, usual]) => one.port ?? usual);
    // A host name is known before anything is made, so it is not Pulumi's to choose.
    const fits = laterCheck<string>(`The Service of "${name}"`, "service.name", rules.serviceName);
    const called = pulumi.all([given, args.appName ?? name]).apply(([one, usual]) => fits(one.name ?? usual));
    const { parent, deletedWith, dependsOn, transformations } = opts;
    const object = new kubernetes.core.v1.Service(
        `${name}-service`,
        {
            metadata: {
                name: called,
                namespace: metadata.namespace,
                labels: metadata.labels,
                // It has endpoints when the workload is Ready, which is waited for there.
                annotations: thereAtOnce,
            },
            spec: {
                type: given.apply(({ type = "ClusterIP" }) => type),
                selector: selector.matchLabels,
                ports: pulumi.all([given, port, targetPort]).apply(([{ nodePort }, port, targetPort]) => [
                    { port, targetPort, protocol: "TCP", ...(nodePort !== undefined && { nodePort }) },
                ]),
            },
        },
        { parent, deletedWith, dependsOn, transformations },
    );
    const serviceName = pulumi.all([called, object.id]).apply(([known]) => known);
    const url = pulumi.interpolate`http://${serviceName}.${metadata.namespace}.svc:${port}`;
    return { object, serviceName, url };
}
