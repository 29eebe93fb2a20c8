import * as pulumi from "@pulumi/pulumi";
import { NodeRuntime } from "../../steps/contract";
import { chooseCluster } from "../cluster/stackCluster";
import { dataVolumeName, NODE_PORT, NODE_PROGRAM, REGISTRY_PORT, RUNTIME_CLASS } from "../defaults";
import { ownerForLooks, passFirst } from "../claim";
import { defaultStateDir } from "../names";
import { stackNodes } from "../node/stackNode";
import { defaultContainerName } from "../registry/localRegistry";
import { hostOf, type Checked } from "../registry/stackRegistry";
import { stepInvoke } from "../step";
import { namedObject } from "../workload/named";
import type { WasmStackArgs } from "./wasmStackArgs";

/**
 * Looks whether the host can carry a stack. What it gives back makes a value one that is not known before that: the first resources of
 * each chain wait for it so.
 */
export function stackPreflight(name: string, args: WasmStackArgs, parent: pulumi.ComponentResource): Checked {
    const { address, plainHttp, trustedCaFile, keepData, port, ...given } = args.registry ?? {};
    const containerName = given.containerName ?? defaultContainerName();
    const dataVolume = keepData ? pulumi.output(containerName).apply(dataVolumeName) : undefined;
    const local = { containerName, port: port ?? REGISTRY_PORT, dataVolume };
    const remote = address && { address: hostOf(address), plainHttp: plainHttp ?? false, trustedCaFile };
    const nodes = stackNodes(args).map((node) => ({
        name: node.name,
        runtime: node.runtime === NodeRuntime.Container ? node.runtime : undefined,
        ip: node.ip,
        port: node.port ?? NODE_PORT,
        stateDir: node.stateDir ?? defaultStateDir(node.name),
        program: node.program ?? NODE_PROGRAM,
    }));
    const modules = (args.workloads ?? [])
        .filter(({ image, reference }) => image === undefined && reference === undefined)
        .map(({ file, source }) => ({ file, source }));
    const passed = stepInvoke(
        "preflight",
        {
            owner: ownerForLooks(),
            cluster: chooseCluster(args).preflight,
            names: args.existingCluster && pulumi.output(wantedNames(name, args)),
            localRegistry: address === undefined ? pulumi.output(local) : undefined,
            remoteRegistry: remote || undefined,
            nodes: pulumi.output(nodes),
            modules: pulumi.output(modules),
        },
        { parent },
    );
    passFirst(passed);
    return (value) => passed.apply(() => value) as never;
}

/** The names that must be free in a cluster that is there already, as far as they are known before anything is made. */
function wantedNames(stack: string, { runtimeClass = {}, workloads = [] }: WasmStackArgs) {
    const { name = RUNTIME_CLASS, shared } = runtimeClass;
    const services = workloads.flatMap(({ name: app, service, namespace = "default" }) => {
        if (service === undefined) return [];
        const named = { namespace, name: service.name ?? app, app, resource: `${stack}-${app}-ready` };
        return [namedObject("Service", `${stack}-${app}-service`, named)];
    });
    return [...services, namedObject("RuntimeClass", `${stack}-runtime-class`, { name, shared })];
}
