/** The part of the contract that is about modules, artifacts and workloads. */
import type { ObserveLossOutput, ObserveOutput } from "../host/contract";
import type { RegistryAccess } from "../registry/contract";

/** What runs a program. */
export const WorkloadKind = {
    /** One pod, complete when the program ends with exit code 0. */
    Pod: "Pod",
    /** Pods that run for good, as many as `replicas` says. */
    Deployment: "Deployment",
    /** One pod, tried again `backoffLimit` times. */
    Job: "Job",
    /** A Job at each time of `schedule`. */
    CronJob: "CronJob",
    /** A pod on each Wasm node, for good. */
    DaemonSet: "DaemonSet",
} as const;
export type WorkloadKind = (typeof WorkloadKind)[keyof typeof WorkloadKind];

/** describeModule: reads only, so that each preview can run it. Exactly one of `file` and `source`. */
export interface DescribeModuleInput {
    /** A WebAssembly file. */
    file?: string;
    /** Folder of a cargo project with one binary, or one library of the kind `cdylib`. */
    source?: string;
}

/** describeModule */
export interface DescribeModuleOutput {
    /** SHA-256 (hex) of the file, or of the sources that the module is built from. */
    sha256: string;
}

/** buildModule */
export interface BuildModuleInput {
    /** Folder of a cargo project with one binary, or one library of the kind `cdylib`. */
    source: string;
}

/** buildModule */
export interface BuildModuleOutput {
    /** The WebAssembly file. */
    file: string;
    sha256: string;
    sizeBytes: number;
}

/** pushArtifact */
export interface PushArtifactInput extends RegistryAccess {
    file: string;
    /** SHA-256 (hex) that the file must have. */
    sha256: string;
    /** What it was built from: where the file has gone with the cache, it is built again. Unset: the file is the user's. */
    source?: string;
    /** `registry/repository:tag` */
    reference: string;
    /** Form of the artifact: `wasm` (the agreed one) or `wasm-to-oci`; unset: `wasm`. */
    format?: string;
    /** Changes when the registry has lost what it held. */
    registryInstance?: string;
    /** See ObserveOutput. */
    because?: string;
}

/** pushArtifact */
export interface PushArtifactOutput {
    /** Digest of the manifest: `sha256:…` */
    digest: string;
    /** `registry/repository@sha256:…`: what workloads run. */
    reference: string;
    sizeBytes: number;
}

/** observeArtifact */
export interface ObserveArtifactOutput extends ObserveOutput {
    /** What was pushed last: of the same bytes at the same place in the same form it will be again. Unset: nothing is known of it. */
    last?: PushArtifactOutput & { of: Pick<PushArtifactInput, "sha256" | "reference" | "format"> };
}

/** resolveArtifact: reads only, so that each preview can run it. */
export interface ResolveArtifactInput extends RegistryAccess {
    /** `registry/repository:tag` or `registry/repository@sha256:…` */
    reference: string;
}

/** resolveArtifact */
export interface ResolveArtifactOutput {
    /** Digest of the manifest that the reference leads to now: `sha256:…` */
    digest: string;
    /** `registry/repository@sha256:…` */
    reference: string;
}

/** awaitWorkload: changes nothing; waits until a workload is Ready or complete. */
export interface AwaitWorkloadInput {
    /** Path of a kubeconfig (mode 0600) that may read the workload, its Service and that one's endpoints, its pods, their events and their logs. */
    kubeconfigFile: string;
    kind: WorkloadKind;
    namespace: string;
    /** Name of the object. */
    name: string;
    /** UID of the object: another one of that name is not waited for. */
    uid: string;
    /** `metadata.generation` of the object: a change of its spec makes a new one, and this step run again. */
    generation: number;
    /** SHA-256 (hex) of what the object was made of: what is set in it by others is known by what was set by then. */
    applied: string;
    /** Set where its pods wait for those of an earlier one to end: a port of the node is one pod's alone. */
    alone?: boolean;
    /** The Service that leads to it, which is waited for too; unset: there is none. */
    service?: AwaitedService;
    /** See ObserveLossOutput. */
    because?: string;
    lost?: string;
    /** How long it may take, in seconds. */
    timeoutSeconds: number;
}

/** What is waited for of a Service. `because` and `lost` are its own. */
export interface AwaitedService extends ObserveLossOutput {
    name: string;
    uid: string;
    /** SHA-256 (hex) of what it was made of. */
    applied: string;
}

/** awaitWorkload */
export interface AwaitWorkloadOutput {
    kind: WorkloadKind;
    namespace: string;
    name: string;
    /** SHA-256 (hex) of the names of the fields that are Pulumi's; unset: the API server told none. */
    fields?: string;
    /** As `fields`, of its Service. */
    serviceFields?: string;
    /** What its Service was made of when they were seen: AwaitedService.applied. */
    serviceApplied?: string;
    /** Whether it goes by itself some time after it has ended. */
    passing?: true;
}

/** Kinds of objects whose names are given: one of that name may be somebody else's. */
export const NamedKind = { Service: "Service", RuntimeClass: "RuntimeClass" } as const;
export type NamedKind = (typeof NamedKind)[keyof typeof NamedKind];

/** An object whose name is given. */
export interface NamedObject {
    kind: NamedKind;
    /** Unset: it is in none. */
    namespace?: string;
    name: string;
    /** Its labels `krustlet-stack/resource` and, of a workload's, `app`: by them it is told from the stack's others. */
    label: string;
    app?: string;
    /** Name of the resource that waits for a workload and its Service. */
    resource?: string;
}

/** A name that an object is to have in a cluster that is there already. */
export interface WantedName extends NamedObject {
    /** Whether it is to be there, whosever it is. Unset: no. */
    shared?: boolean;
}

/** claimObject, deleteObject */
export interface ClaimObjectInput extends NamedObject {
    /** Whose it is to be: see KindClusterInput. */
    owner: string;
    /** Path of a kubeconfig (mode 0600) that may read the object, and delete it. */
    kubeconfigFile: string;
}

/** claimObject */
export interface ClaimObjectOutput {
    /** Another one each time that the name is claimed. */
    made: string;
}

/** observeService: reads only, so that each preview can run it. */
export interface ObserveServiceInput extends ClaimObjectInput {
    namespace: string;
    app: string;
    resource: string;
    /** Port of the nodes that it is to have; unset: none, or one that the cluster chooses. */
    nodePort?: number;
}
