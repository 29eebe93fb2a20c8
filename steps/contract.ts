/**
 * What goes into each step and what comes out: one JSON object on standard input, one on standard output. The components
 * build the inputs and read the outputs; the steps do the reverse. This file is all that the two sides share.
 *
 * A step that undoes another one gets the same input as the one that it undoes, for that is what Pulumi stores.
 * Beside its input each step may get `claim` (see StepClaim), which says whose stack it works for.
 * Paths may begin with `~/`, which the step expands: the state stays the same for another user's home folder.
 */

import type {
    ClusterOutput,
    CopyKubeconfigInput,
    FindClusterInput,
    FindClusterOutput,
    KindClusterInput,
    KubeletApprovalInput,
    KubeletApprovalOutput,
    LocalClusterInput,
    ObserveClusterOutput,
    ObserveKindClusterInput,
    ObserveLocalClusterInput,
    ObserveKubeletsInput,
} from "./cluster/contract";
import type {
    Claim,
    LookInput,
    LookOutput,
    MakeClaimInput,
    ObserveInput,
    ObserveLossOutput,
    ObserveOutput,
    PreflightInput,
    PreflightOutput,
} from "./host/contract";
import type {
    ApproverInput,
    ApproverOutput,
    AwaitNodeInput,
    AwaitNodeOutput,
    BootstrapTokenInput,
    BootstrapTokenOutput,
    CertificateApprovalInput,
    CertificateApprovalOutput,
    NodeInput,
    ObserveApproverInput,
    ObserveNodeInput,
    NodeOutput,
} from "./node/contract";
import type {
    ArtifactTagInput,
    AwaitRegistryInput,
    AwaitRegistryOutput,
    ClearRegistryInput,
    ConnectRegistryInput,
    ConnectRegistryOutput,
    DescribeLoginInput,
    DescribeLoginOutput,
    ObserveConnectionOutput,
    ObserveRegistryInput,
    PullSecretInput,
    PullSecretOutput,
} from "./registry/contract";
import type {
    AwaitWorkloadInput,
    AwaitWorkloadOutput,
    BuildModuleInput,
    BuildModuleOutput,
    ClaimObjectInput,
    ClaimObjectOutput,
    DescribeModuleInput,
    DescribeModuleOutput,
    ObserveArtifactOutput,
    ObserveServiceInput,
    PushArtifactInput,
    PushArtifactOutput,
    ResolveArtifactInput,
    ResolveArtifactOutput,
} from "./workload/contract";

export * from "./cluster/contract";
export type * from "./host/contract";
export * from "./node/contract";
export type * from "./registry/contract";
export * from "./workload/contract";

/** Every step: its input and its output. */
export interface Steps {
    preflight: { input: PreflightInput; output: PreflightOutput };
    look: { input: LookInput; output: LookOutput };
    makeClaim: { input: MakeClaimInput; output: Claim };
    releaseClaim: { input: MakeClaimInput; output: Record<string, never> };
    forget: { input: object; output: Record<string, never> };
    createKindCluster: { input: KindClusterInput; output: ClusterOutput };
    deleteKindCluster: { input: KindClusterInput; output: Record<string, never> };
    observeKindCluster: { input: ObserveKindClusterInput; output: ObserveClusterOutput };
    approveKubeletCertificates: { input: KubeletApprovalInput; output: KubeletApprovalOutput };
    observeKubelets: { input: ObserveKubeletsInput; output: ObserveOutput };
    findCluster: { input: FindClusterInput; output: FindClusterOutput };
    copyKubeconfig: { input: CopyKubeconfigInput; output: ClusterOutput };
    removeKubeconfig: { input: CopyKubeconfigInput; output: Record<string, never> };
    createLocalCluster: { input: LocalClusterInput; output: ClusterOutput };
    deleteLocalCluster: { input: LocalClusterInput; output: Record<string, never> };
    observeLocalCluster: { input: ObserveLocalClusterInput; output: ObserveClusterOutput };
    createBootstrapToken: { input: BootstrapTokenInput; output: BootstrapTokenOutput };
    deleteBootstrapToken: { input: BootstrapTokenInput; output: Record<string, never> };
    launchNode: { input: NodeInput; output: NodeOutput };
    stopNode: { input: NodeInput; output: Record<string, never> };
    observeNode: { input: ObserveNodeInput; output: ObserveOutput };
    approveCertificates: { input: CertificateApprovalInput; output: CertificateApprovalOutput };
    deleteCertificateRequests: { input: CertificateApprovalInput; output: Record<string, never> };
    launchApprover: { input: ApproverInput; output: ApproverOutput };
    stopApprover: { input: ApproverInput; output: Record<string, never> };
    observeApprover: { input: ObserveApproverInput; output: ObserveOutput };
    awaitNode: { input: AwaitNodeInput; output: AwaitNodeOutput };
    describeModule: { input: DescribeModuleInput; output: DescribeModuleOutput };
    buildModule: { input: BuildModuleInput; output: BuildModuleOutput };
    observeArtifact: { input: ObserveInput; output: ObserveArtifactOutput };
    observeRegistry: { input: ObserveRegistryInput; output: ObserveLossOutput };
    observeWorkload: { input: ObserveInput; output: ObserveLossOutput };
    observeService: { input: ObserveServiceInput; output: ObserveLossOutput };
    pushArtifact: { input: PushArtifactInput; output: PushArtifactOutput };
    awaitRegistry: { input: AwaitRegistryInput; output: AwaitRegistryOutput };
    resolveArtifact: { input: ResolveArtifactInput; output: ResolveArtifactOutput };
    claimTag: { input: ArtifactTagInput; output: ResolveArtifactOutput };
    deleteTag: { input: ArtifactTagInput; output: Record<string, never> };
    clearRegistry: { input: ClearRegistryInput; output: Record<string, never> };
    connectRegistry: { input: ConnectRegistryInput; output: ConnectRegistryOutput };
    disconnectRegistry: { input: ConnectRegistryInput; output: Record<string, never> };
    observeConnection: { input: ObserveInput; output: ObserveConnectionOutput };
    describeLogin: { input: DescribeLoginInput; output: DescribeLoginOutput };
    observePullSecret: { input: ObserveInput; output: ObserveOutput };
    createPullSecret: { input: PullSecretInput; output: PullSecretOutput };
    deletePullSecret: { input: PullSecretInput; output: Record<string, never> };
    awaitWorkload: { input: AwaitWorkloadInput; output: AwaitWorkloadOutput };
    claimObject: { input: ClaimObjectInput; output: ClaimObjectOutput };
    deleteObject: { input: ClaimObjectInput; output: Record<string, never> };
}

/** The folder of steps/ that each one is in; its file bears its name. */
export const stepFolders = {
    preflight: "host",
    look: "host",
    makeClaim: "host",
    releaseClaim: "host",
    forget: "host",
    createKindCluster: "cluster",
    deleteKindCluster: "cluster",
    observeKindCluster: "cluster",
    approveKubeletCertificates: "cluster",
    observeKubelets: "cluster",
    findCluster: "cluster/existing",
    copyKubeconfig: "cluster/existing",
    removeKubeconfig: "cluster/existing",
    createLocalCluster: "cluster/local",
    deleteLocalCluster: "cluster/local",
    observeLocalCluster: "cluster/local",
    createBootstrapToken: "node",
    deleteBootstrapToken: "node",
    launchNode: "node",
    stopNode: "node",
    observeNode: "node",
    awaitNode: "node",
    approveCertificates: "node/certificates",
    deleteCertificateRequests: "node/certificates",
    launchApprover: "node/certificates",
    stopApprover: "node/certificates",
    observeApprover: "node/certificates",
    awaitRegistry: "registry",
    claimTag: "registry",
    deleteTag: "registry",
    clearRegistry: "registry",
    connectRegistry: "registry",
    disconnectRegistry: "registry",
    observeConnection: "registry",
    observeRegistry: "registry",
    describeLogin: "registry",
    observePullSecret: "registry",
    createPullSecret: "registry",
    deletePullSecret: "registry",
    describeModule: "workload",
    buildModule: "workload",
    pushArtifact: "workload",
    resolveArtifact: "workload",
    awaitWorkload: "workload",
    observeArtifact: "workload",
    observeWorkload: "workload",
    observeService: "workload/serving",
    claimObject: "workload/named",
    deleteObject: "workload/named",
} as const satisfies Record<keyof Steps, string>;

/** The steps that only look: they run at each preview and each update, all that are asked for together in one process. */
export const lookingSteps = [
    "preflight",
    "observeKindCluster",
    "observeKubelets",
    "observeNode",
    "observeApprover",
    "observeConnection",
    "observeRegistry",
    "observePullSecret",
    "observeArtifact",
    "observeWorkload",
    "observeService",
    "findCluster",
    "copyKubeconfig",
    "observeLocalCluster",
    "describeLogin",
    "describeModule",
    "resolveArtifact",
] as const satisfies (keyof Steps)[];

/**
 * The steps that undo what is best undone last. What they undo is replaced by one that comes before they run, and whose note is not to go with
 * theirs. All others undo what has a fixed name, and come first.
 */
export const undoneLast: readonly (keyof Steps)[] = ["forget", "deleteObject"];

export type LookingStep = (typeof lookingSteps)[number];

/** The folder and the name of a step: `node/launchNode`. */
export function stepPath(step: keyof Steps): string {
    return `${stepFolders[step]}/${step}`;
}
