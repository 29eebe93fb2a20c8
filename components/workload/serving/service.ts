import type { local } from "@pulumi/command";
import * as kubernetes from "@pulumi/kubernetes";
import type { types } from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { AwaitWorkloadInput } from "../../../steps/contract";
import type { WorkloadKind } from "../../../steps/workload/contract";
import { ownerForLooks } from "../../claim";
import * as rules from "../../rules";
import { stepInvoke } from "../../step";
import { laterCheck } from "../../validation";
import { claimName, namedObject } from "../named";
import { together } from "../podTemplate";
import {
    awaitReady,
    digestOf,
    FIELD_MANAGER,
    logsCommand,
    nameOf,
    reasons,
    thereAtOnce,
    type WasmAwaitArgs,
    type Workload,
} from "../workload";
import { containerPortOf } from "./servingParts";
import type { WasmServingArgs } from "./servingArgs";

/** A workload's Service, and what its component tells of it: all undefined where there is none. */
interface WorkloadService {
    object?: kubernetes.core.v1.Service;
    /** What sees whose its name is. */
    claim?: local.Command;
    /** What is waited for. */
    awaited?: pulumi.Output<NonNullable<AwaitWorkloadInput["service"]>>;
    serviceName: pulumi.Output<string | undefined>;
    url: pulumi.Output<string | undefined>;
}

/**
 * A Service that a killed run had made, and never recorded, is applied again by the next one: as somebody else it would share all fields
 * with who is no more, and each change of one would be a conflict.
 */
const ofOneManager = { [FIELD_MANAGER]: "pulumi-krustlet-stack" };

/** The kinds of workloads that a Service may lead to. */
const kinds = ["Pod", "Deployment", "DaemonSet"] as const;

/**
 * A workload that becomes one of another kind keeps its Service: as the child of another component it would be made anew under the name that
 * it has, and then be deleted as the old one.
 */
function ofOtherKinds({ urn }: pulumi.ComponentResource, kind: WorkloadKind): pulumi.Alias[] {
    return kinds
        .filter((other) => other !== kind)
        .map((other) => ({ parent: urn.apply((own) => own.replace(`:Wasm${kind}::`, `:Wasm${other}::`)) }));
}

type ServiceOwnerArgs = WasmServingArgs & WasmAwaitArgs & { appName?: pulumi.Input<string> };

/**
 * The Service that leads to a workload's pods, by the label that they are found by. Its name is a host name that others know before anything
 * is made, so it is not Pulumi's to choose, and one of that name that is somebody else's is looked for first.
 */
function workloadService(
    component: pulumi.ComponentResource,
    name: string,
    { kind, args, metadata, selector, opts }: Workload<ServiceOwnerArgs>,
): WorkloadService {
    const { service, kubeconfigFile = "" } = args;
    if (service === undefined) {
        const none = pulumi.output<string | undefined>(undefined);
        return { serviceName: none, url: none };
    }
    const given = pulumi.output(service);
    const targetPort = containerPortOf(args);
    const port = pulumi.all([given, targetPort]).apply(([one, usual]) => one.port ?? usual);
    const fits = laterCheck<string>(`The Service of "${name}"`, "service.name", rules.serviceName);
    const app = args.appName ?? name;
    const serviceName = pulumi.all([given, app]).apply(([one, usual]) => fits(one.name ?? usual));
    const { namespace, labels } = metadata;
    const resource = `${name}-service`;
    const aliases = ofOtherKinds(component, kind);
    const named = { kubeconfigFile, namespace, name: serviceName, app, resource: `${name}-ready` };
    const observed = stepInvoke(
        "observeService",
        {
            ...namedObject("Service", resource, named),
            owner: ownerForLooks(),
            nodePort: given.apply(({ nodePort }) => nodePort),
        },
        { parent: component },
    );
    const claim = claimName("Service", resource, named, { parent: component, aliases });
    const made = {
        metadata: { name: serviceName, namespace, labels },
        spec: {
            type: given.apply(({ type = "ClusterIP" }) => type),
            selector: selector.matchLabels,
            ports: pulumi
                .all([given, port, targetPort])
                .apply(([{ nodePort }, port, targetPort]) => [
                    { port, targetPort, protocol: "TCP", ...(nodePort !== undefined && { nodePort }) },
                ]),
        },
    };
    // It leads somewhere when the workload is Ready, and is waited for together with that.
    const annotations = together(thereAtOnce, ofOneManager, observed.apply(reasons));
    const object = new kubernetes.core.v1.Service(
        resource,
        { ...made, metadata: { ...made.metadata, annotations } },
        // The old one is not the provider's to delete, and so is there until its claim ends, whichever comes first.
        pulumi.mergeOptions(pulumi.mergeOptions(opts, claim.options), {
            aliases,
            deleteBeforeReplace: false,
        }),
    );
    const awaited = pulumi.output({
        name: serviceName,
        uid: object.metadata.uid,
        applied: digestOf(made),
        because: observed.because,
        lost: observed.lost,
    });
    // Whoever is told of it comes after it.
    const known = pulumi.all([serviceName, object.id]).apply(([name]) => name);
    const url = pulumi.interpolate`http://${known}.${namespace}.svc:${port}`;
    return { object, claim: claim.command, awaited, serviceName: known, url };
}

/** What stands beside the object of a workload that may answer requests, its Service and what waits for both, and what its component tells. */
export function served(
    component: pulumi.ComponentResource,
    name: string,
    parts: Workload<ServiceOwnerArgs>,
    object: { metadata: pulumi.Output<types.output.meta.v1.ObjectMeta> },
    made: object,
) {
    const {
        object: service,
        claim: serviceClaim,
        awaited,
        serviceName,
        url,
    } = workloadService(component, name, parts);
    const ready = awaitReady(component, name, parts, object, made, awaited);
    const called = nameOf(parts.metadata, object);
    return {
        beside: { ready, service, serviceClaim },
        outputs: { ...called, logsCommand: logsCommand(parts.kind, called), serviceName, url },
    };
}
