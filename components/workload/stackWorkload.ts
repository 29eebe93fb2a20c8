import * as pulumi from "@pulumi/pulumi";
import { PortProtocol } from "../../steps/contract";
import type { WorkloadKind } from "../../steps/workload/contract";
import type { Cluster } from "../cluster/cluster";
import type { portMappingsOf } from "../cluster/localCluster";
import type { KrustletNode } from "../node/krustletNode";
import type { RegistryPullSecret } from "../registry/registryPullSecret";
import type { Checked, StackRegistry } from "../registry/stackRegistry";
import type { WasmStackWorkloadArgs } from "../stack/wasmStackArgs";
import { programOf } from "./programRules";
import { WasmArtifact } from "./wasmArtifact";
import { WasmCronJob, type WasmCronJobArgs } from "./wasmCronJob";
import { WasmDaemonSet } from "./wasmDaemonSet";
import { WasmDeployment } from "./wasmDeployment";
import { WasmJob } from "./wasmJob";
import { WasmPod, type WasmPodArgs } from "./wasmPod";

/** A workload of a stack, of any kind. */
export type StackWorkload = WasmPod | WasmDeployment | WasmJob | WasmCronJob | WasmDaemonSet;

type Make<A> = new (name: string, args: A, opts: pulumi.ComponentResourceOptions) => StackWorkload;

const components: Record<WorkloadKind, Make<WasmPodArgs & WasmCronJobArgs>> = {
    Pod: WasmPod,
    Deployment: WasmDeployment,
    Job: WasmJob,
    CronJob: WasmCronJob,
    DaemonSet: WasmDaemonSet,
};

/** The workload's artifact, built and pushed, or looked up; undefined where its module is given by digest. */
export function stackArtifact(
    name: string,
    workload: WasmStackWorkloadArgs,
    registry: StackRegistry,
    checked: Checked,
    parent: pulumi.ComponentResource,
): WasmArtifact | undefined {
    if (workload.image !== undefined) return undefined;
    const { insecureRegistries, trustedCaFile, dockerConfigFile } = registry;
    const origin =
        workload.reference === undefined
            ? {
                  file: workload.file,
                  source: workload.source,
                  registry: registry.address,
                  repository: workload.repository ?? workload.name,
                  tag: workload.tag,
                  deleteTag: workload.deleteTag,
                  registryInstance: registry.instance,
              }
            : { reference: checked(workload.reference) };
    return new WasmArtifact(
        `${name}-${workload.name}-artifact`,
        { ...origin, insecureRegistries, trustedCaFile, dockerConfigFile },
        { parent },
    );
}

/** Runs a workload on its node, or on any of several. */
export function stackWorkload(
    name: string,
    workload: WasmStackWorkloadArgs,
    image: pulumi.Input<string>,
    nodes: Record<string, KrustletNode>,
    cluster: Cluster,
    pull: RegistryPullSecret | undefined,
    parent: pulumi.ComponentResource,
): StackWorkload {
    const { name: appName, kind = "Pod", node } = workload;
    const all = Object.values(nodes);
    // Nobody makes a Pod or a Job anew that its node takes along, but Pulumi, and only if it was told where that ran. The first node: others that
    // come or go do not move it.
    const stays = kind === "Pod" || kind === "Job" ? all.at(0) : undefined;
    const chosen = node === undefined ? stays : nodes[node];
    const args = {
        ...programOf(workload),
        image,
        appName,
        node: chosen?.hostname,
        imagePullSecrets: joined(workload.imagePullSecrets, pull?.names),
        ...(kind !== "CronJob" && { kubeconfigFile: cluster.kubeconfigFile }),
    };
    return new components[kind](
        `${name}-${appName}`,
        // The rules have seen that it has what its kind has, and nothing else.
        args as WasmPodArgs & WasmCronJobArgs,
        {
            parent,
            ...cluster.inCluster(),
            // It is scheduled when there is a node for it, and deleted while that still runs.
            dependsOn: chosen ? [chosen] : all,
        },
    );
}

/**
 * What is told of a workload's Service, where it has one: its URL on this host, if the cluster has that listen for its port of the
 * nodes, or else the one in the cluster.
 */
export function serviceOf(
    { service }: WasmStackWorkloadArgs,
    component: StackWorkload,
    mappings: ReturnType<typeof portMappingsOf>,
): Partial<Pick<WasmPod, "serviceName" | "url">> {
    if (service === undefined || component instanceof WasmJob || component instanceof WasmCronJob) return {};
    const { serviceName, url } = component;
    // One that the cluster has chosen is in the object that it has made.
    const ports = pulumi.output(component.service?.spec.ports);
    const here = pulumi.all([service.nodePort, ports, mappings]).apply(([given, made, all]) => {
        const nodePort = given ?? made?.at(0)?.nodePort;
        const mapped = all.find(
            ({ containerPort, protocol }) => containerPort === nodePort && protocol === PortProtocol.TCP,
        );
        if (mapped === undefined) return undefined;
        const address = /^(127\.|0\.0\.0\.0$)/.test(mapped.listenAddress)
            ? "localhost"
            : mapped.listenAddress;
        return `http://${address}:${mapped.hostPort}`;
    });
    return { serviceName, url: pulumi.all([url, here]).apply(([inCluster, here]) => here ?? inCluster) };
}

/** Both lists in one; undefined where there is neither. */
function joined(
    given: pulumi.Input<pulumi.Input<string>[]> | undefined,
    made: pulumi.Output<string[]> | undefined,
): pulumi.Input<pulumi.Input<string>[]> | undefined {
    if (given === undefined || made === undefined) return given ?? made;
    return pulumi.all([pulumi.output(given), made]).apply((lists) => lists.flat());
}
