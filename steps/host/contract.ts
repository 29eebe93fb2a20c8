/** The part of the contract that is about the host. */
import type { PreflightCluster } from "../cluster/contract";
import type { DescribeModuleInput, WantedName } from "../workload/contract";
import type { NodeRuntime } from "../node/contract";
import type { LookingStep, Steps } from "../contract";

/** Labels of what a stack makes in a cluster: the claim's id, and what stands for the very resource. */
export const CLAIM_LABEL = "krustlet-stack/claim";
export const RESOURCE_LABEL = "krustlet-stack/resource";

/** preflight: reads only, so that each preview can run it. All problems come in one message. */
export interface PreflightInput {
    owner: string;
    cluster: PreflightCluster;
    /** Names that are to be this stack's in a cluster that is there already. Unset: none. */
    names?: WantedName[];
    /** The local registry; unset when a remote one is used. */
    localRegistry?: {
        containerName: string;
        port: number;
        /** Volume that keeps its data; unset: none is kept. */
        dataVolume?: string;
    };
    /** A remote registry that must answer. */
    remoteRegistry?: {
        /** host or host:port */
        address: string;
        plainHttp: boolean;
        /** See RegistryAccess. */
        trustedCaFile?: string;
    };
    /** `ip`: where the node listens; unset: at the gateway of the cluster's network. `runtime`: unset, it is a process. */
    nodes: {
        name: string;
        runtime?: NodeRuntime;
        ip?: string;
        port: number;
        stateDir: string;
        program: string;
    }[];
    /** Modules of the workloads; see DescribeModuleInput. */
    modules: DescribeModuleInput[];
}

/** preflight */
export interface PreflightOutput {
    /** Version of the Docker daemon; empty where nothing needs one. */
    dockerVersion: string;
}

/** look: what several steps see that only look, each on its own. */
export interface LookInput {
    looks: { step: LookingStep; input: object }[];
}

/** look: in the order of the questions. */
export interface LookOutput {
    answers: LookAnswer[];
}

/** What one step saw, or why it could not. `notes` are its lines of progress. */
export interface LookAnswer {
    output?: unknown;
    error?: string;
    notes: string[];
}

/** A machine, and a user of it: what a stack makes beside Docker is that user's. */
export interface ClaimHost {
    /** The same for the same machine and user; tells nobody which. */
    id: string;
    name: string;
    user: string;
}

/** makeClaim */
export interface MakeClaimInput {
    /** `<project>/<stack>` */
    owner: string;
}

/** makeClaim: whose things a stack's are. It comes before all else of the stack and goes after it. */
export interface Claim {
    /** 16 hexadecimal digits, another one for each stack that was ever made. */
    id: string;
    /** `<project>/<stack>/<id>`: what is made outside Pulumi bears it. */
    owner: string;
    /** Folder of the claim on its host. */
    folder: string;
    host: ClaimHost;
    /** When it was made, in milliseconds since 1970; unset: by an earlier version. */
    at?: number;
}

/** What each step is told beside its input, as `claim`. */
export interface StepClaim extends Claim {
    /** Name of the step's resource. */
    resource?: string;
    /** The step that undoes it. */
    undo?: keyof Steps;
    /** Set for steps that only look. */
    looks?: true;
    /** Set for looks of an update, which makes things afterwards: those of a preview do not have it. */
    updates?: true;
    /** Set for those whose claim was made by the update that they are of: nothing is written down yet. */
    fresh?: boolean;
}

/** observe…: sees what has become of what a step left. */
export interface ObserveInput {
    /** Name of that step's resource. */
    resource: string;
}

/** observe… */
export interface ObserveOutput {
    /** Why the step must run (again): it is in its input. Unset: it never had to run but for the first time. */
    because?: string;
}

/** observe… of what Pulumi makes itself, and a step waits for. */
export interface ObserveLossOutput extends ObserveOutput {
    /** Why that was made (again) last: it was gone. It is in the input of both. */
    lost?: string;
}
