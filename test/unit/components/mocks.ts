import assert from "node:assert/strict";
import * as path from "node:path";
import * as pulumi from "@pulumi/pulumi";
import type { RegisterResourceRequest } from "@pulumi/pulumi/proto/resource_pb";
import { stepCommand } from "../../../components/stepCommand";
import { steps as fixtures } from "./fixtures";
import { CLAIM_LABEL, RESOURCE_LABEL } from "../../../steps/host/contract";
import { stepPath, type LookInput, type Steps } from "../../../steps/contract";

/** One resource as a program registered it. Other resources are given by `type::name`, shortened as in `type`. */
export interface Registered {
    /** `krustlet-stack:index:KindCluster`, `command:local:Command`, `kubernetes:core/v1:Pod`… */
    type: string;
    parent: string | undefined;
    /** Exactly what the plugin gets; a secret is `{ secret: value }`. */
    inputs: Record<string, unknown>;
    options: {
        provider?: string;
        deletedWith?: string;
        dependsOn?: string[];
        deleteBeforeReplace?: true;
        replaceOnChanges?: string[];
        additionalSecretOutputs?: string[];
        /** What else it may have been the child of. */
        formerParents?: string[];
        retainOnDelete?: true;
    };
}

/** A call of a step that only looks. */
export interface Invoked {
    /** The step. */
    command: unknown;
    input: unknown;
}

/** What a program registered and called, by name. */
export interface Recording {
    resources: Record<string, Registered>;
    invokes: Invoked[];
    /** How many processes the looks took. */
    looks: number;
    /** The stack's claim, which is in each step's input too: checked there, and taken out of what is recorded. */
    claim: Record<string, Registered>;
}

/** What each step prints. A step that is not here fails the test that runs it. */
export type StepOutputs = {
    [S in keyof Steps]?: unknown;
};

export interface MockOptions {
    steps: StepOutputs;
    /** A preview: resources have no outputs but those that are inputs too. */
    preview?: boolean;
    /** Called when a resource is registered. */
    onResource?: (name: string, type: string) => void;
    /** Called before a step that only looks answers. */
    beforeInvoke?: () => Promise<void>;
}

interface Monitor {
    registerResource(
        request: RegisterResourceRequest,
        callback: (...result: unknown[]) => void,
    ): Promise<void>;
}

/** What stands for a value that is not known yet. */
const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
const secretKey = "4dabf18193072939515e22adb298388d";

/** Makes secrets readable: `{ secret: value }`. */
function readable(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(readable);
    if (typeof value !== "object" || value === null) return value;
    const object = value as Record<string, unknown>;
    if (secretKey in object) return { secret: readable(object.value) };
    return Object.fromEntries(Object.entries(object).map(([key, one]) => [key, readable(one)]));
}

/** `type::name` of a URN, with the type's parents left out. */
function shortUrn(urn: string): string {
    const [, , type, name] = urn.replace(/^urn:pulumi:/, "").split("::");
    return `${type.split("$").pop()}::${name}`;
}

/** What plugins answer; throws on a type that no test has asked for. */
function outputsOf(type: string, inputs: Record<string, unknown>, { steps, preview }: MockOptions): object {
    switch (type) {
        case "command:local:Command": {
            if (preview) return {};
            const step = path.basename(String(inputs.create)) as keyof Steps;
            if (steps[step] === undefined) throw new Error(`step ${String(inputs.create)} is not stubbed`);
            return { stdout: JSON.stringify(steps[step]) };
        }
        case "docker:index/remoteImage:RemoteImage":
            return preview ? {} : { imageId: "sha256:image" };
        case "kubernetes:core/v1:Pod":
        case "kubernetes:apps/v1:Deployment":
        case "kubernetes:apps/v1:DaemonSet":
        case "kubernetes:batch/v1:Job":
        case "kubernetes:core/v1:ConfigMap":
        case "kubernetes:batch/v1:CronJob":
        case "kubernetes:node.k8s.io/v1:RuntimeClass":
        case "kubernetes:core/v1:ServiceAccount":
        case "kubernetes:rbac.authorization.k8s.io/v1:Role":
        case "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding":
        case "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole":
        case "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding": {
            const metadata = inputs.metadata as object;
            return { metadata: { name: "auto-named", uid: "object-uid", generation: 1, ...metadata } };
        }
        case "kubernetes:core/v1:Service": {
            const { metadata, spec } = inputs as {
                metadata: object;
                spec: { type: string; ports: object[] };
            };
            // The one that a cluster chooses where none is given.
            const nodePort = spec.type === "NodePort" && { nodePort: 31000 };
            const ports = spec.ports.map((port) => ({ ...nodePort, ...port }));
            return preview ? {} : { metadata: { uid: "object-uid", ...metadata }, spec: { ...spec, ports } };
        }
        case "kubernetes:policy/v1:PodDisruptionBudget":
        case "kubernetes:autoscaling/v2:HorizontalPodAutoscaler":
        case "docker:index/volume:Volume":
        case "docker:index/container:Container":
        case "pulumi:providers:kubernetes":
        case "pulumi:pulumi:Stack":
            return {};
        default:
            if (type.startsWith("krustlet-stack:index:")) return {};
            throw new Error(`resource type ${type} is not stubbed`);
    }
}

/** Runs a program against mocks until every resource is registered and every Output of `program`'s result known. */
export async function record<T>(
    options: MockOptions,
    program: () => T,
): Promise<Recording & { result: pulumi.Unwrap<T> }> {
    const recording: Recording = { resources: {}, invokes: [], looks: 0, claim: {} };
    const mocks: pulumi.runtime.Mocks = {
        async call({ token, inputs }) {
            if (token !== "command:local:run") throw new Error(`function ${token} is not stubbed`);
            const { command, stdin, ...rest } = inputs as Record<string, unknown>;
            const { program, how } = stepCommand("look");
            assert.deepEqual({ command, ...rest }, { command: program, ...how, logging: "none" });
            const { looks } = JSON.parse(String(stdin)) as LookInput;
            recording.looks += 1;
            recording.invokes.push(...looks.map(({ step, input }) => ({ command: stepPath(step), input })));
            await options.beforeInvoke?.();
            const answers = looks.map(({ step }) => {
                if (options.steps[step] === undefined) throw new Error(`step ${step} is not stubbed`);
                return { output: options.steps[step], notes: [] };
            });
            return { stdout: JSON.stringify({ answers }) };
        },
        newResource({ type, name, inputs }) {
            const plain = readable(inputs) as Record<string, unknown>;
            const state = { ...(inputs as object), ...outputsOf(type, plain, options) };
            return { id: options.preview ? undefined : `${name}-id`, state };
        },
    };
    await pulumi.runtime.setMocks(mocks, "project", "stack", options.preview);
    // The mocks see names and inputs; parents and options are in the request to the engine's stand-in.
    const monitor = pulumi.runtime.getMonitor() as unknown as Monitor;
    const register = monitor.registerResource.bind(monitor);
    monitor.registerResource = (request, callback) => {
        const name = request.getName();
        if (name in recording.resources) throw new Error(`two resources are named ${name}`);
        if (name.startsWith("krustlet-stack")) {
            recording.claim[name] = registered(request);
            return register(request, callback);
        }
        recording.resources[name] = withoutClaim(name, registered(request));
        options.onResource?.(name, request.getType());
        return register(request, callback);
    };

    const result = program();
    await pulumi.runtime.disconnect();
    const order = [
        "preflight",
        "describeLogin",
        "observePullSecret",
        "describeModule",
        "observeKindCluster",
        "observeKubelets",
        "observeRegistry",
        "observeConnection",
        "observeNode",
        "observeApprover",
        "observeArtifact",
        "observeWorkload",
        "observeService",
    ];
    const place = ({ command }: Invoked) => {
        const found = order.indexOf(path.basename(String(command)));
        return found < 0 ? order.length : found;
    };
    recording.invokes.sort((one, other) => place(one) - place(other));
    const known = await new Promise<pulumi.Unwrap<T>>((resolve) => pulumi.output(result).apply(resolve));
    return { ...recording, result: known };
}

/** A step's resource as its component gave it: each of them is told whose it is, alike. */
function withoutClaim(name: string, resource: Registered): Registered {
    if (resource.type.startsWith("kubernetes:")) {
        // What a program makes itself bears none.
        const isOurs = resource.parent?.startsWith("krustlet-stack:") === true;
        return withoutDependency(isOurs ? withoutLabels(name, resource) : resource);
    }
    const { inputs, options } = resource;
    if (resource.type !== "command:local:Command") return withoutDependency(resource);
    const { stdin } = inputs;
    const secret = typeof stdin === "object" ? (stdin as { secret: string }).secret : undefined;
    const text = secret ?? String(stdin);
    if (!text.startsWith("{")) return withoutDependency(resource);
    const { claim, ...input } = JSON.parse(text) as { claim?: object };
    const undo = inputs.delete === undefined ? {} : { undo: path.basename(inputs.delete as string) };
    assert.deepEqual(claim, { ...(fixtures.makeClaim as object), resource: name, ...undo });
    // Of what an object was made: that it is a digest is all that is known here.
    const plain = JSON.stringify(input).replace(/"applied":"[0-9a-f]{64}"/, '"applied":"sha256"');
    const given = { ...inputs, stdin: secret === undefined ? plain : { secret: plain } };
    return withoutDependency({ ...resource, inputs: given, options });
}

/** An object in a cluster as its component gave it: each of them bears the claim. */
function withoutLabels(name: string, resource: Registered): Registered {
    const { labels, ...metadata } = resource.inputs.metadata as { labels: Record<string, unknown> | string };
    // In a preview of what is yet to be made the claim is not known, and so none of them.
    if (labels === UNKNOWN) return { ...resource, inputs: { ...resource.inputs, metadata } };
    const { secret } = labels as { secret?: Record<string, unknown> };
    const {
        [CLAIM_LABEL]: claim,
        [RESOURCE_LABEL]: of,
        ...own
    } = secret ?? (labels as Record<string, unknown>);
    assert.equal(claim, (fixtures.makeClaim as { id: string }).id, name);
    assert.match(String(of), /^[0-9a-f]{32}$/, name);
    const given = Object.keys(own).length > 0 && { labels: secret ? { secret: own } : own };
    return { ...resource, inputs: { ...resource.inputs, metadata: { ...metadata, ...given } } };
}

function withoutDependency({ options, ...resource }: Registered): Registered {
    const { dependsOn = [], ...rest } = options;
    const others = list(dependsOn.filter((one) => !one.endsWith("::krustlet-stack-claim")));
    return { ...resource, options: others === undefined ? rest : { ...rest, dependsOn: others } };
}

function registered(request: RegisterResourceRequest): Registered {
    const provider = request.getProvider();
    const options = {
        provider: provider === "" ? undefined : shortUrn(provider.slice(0, provider.lastIndexOf("::"))),
        deletedWith: request.getDeletedwith() === "" ? undefined : shortUrn(request.getDeletedwith()),
        dependsOn: list(request.getDependenciesList().map(shortUrn).sort()),
        deleteBeforeReplace: request.getDeletebeforereplace() ? true : undefined,
        replaceOnChanges: list(request.getReplaceonchangesList()),
        retainOnDelete: request.getRetainondelete() ? true : undefined,
        formerParents: list(
            request
                .getAliasesList()
                .map((alias) => alias.getSpec()?.getParenturn() ?? "")
                .filter((parent) => parent !== "" && parent !== request.getParent())
                .map(shortUrn),
        ),
        additionalSecretOutputs: list(request.getAdditionalsecretoutputsList()),
    };
    return {
        type: request.getType(),
        parent: request.getParent() === "" ? undefined : shortUrn(request.getParent()),
        inputs: readable(request.getObject()?.toJavaScript() ?? {}) as Record<string, unknown>,
        options: Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)),
    };
}

function list(values: string[]): string[] | undefined {
    return values.length === 0 ? undefined : values;
}

/** Which of the Outputs are secret. */
export async function areSecret(
    outputs: Record<string, pulumi.Output<unknown>>,
): Promise<Record<string, boolean>> {
    const names = Object.keys(outputs);
    const secret = await Promise.all(names.map((name) => pulumi.isSecret(outputs[name])));
    return Object.fromEntries(names.map((name, index) => [name, secret[index]]));
}
