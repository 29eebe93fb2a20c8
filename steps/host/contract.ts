/** The part of the contract that is about the host. */
import type { PreflightCluster } from "../cluster/contract";
import type { DescribeModuleInput } from "../workload/contract";
import type { LookingStep } from "../contract";

/** preflight: reads only, so that each preview can run it. All problems come in one message. */
export interface PreflightInput {
    owner: string;
    cluster: PreflightCluster;
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
    /** `ip`: where the node listens; unset: at the gateway of the cluster's network. */
    nodes: { name: string; ip?: string; port: number; stateDir: string; program: string }[];
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
