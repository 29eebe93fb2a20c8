/** The library: components that bring up a Kubernetes with Wasm nodes, together (WasmStack) or each on its own. */
export type { Cluster, HostedRegistry, InCluster } from "./cluster/cluster";
export {
    KindCluster,
    type KindClusterArgs,
    type KindNodeArgs,
    type KindPortMappingArgs,
} from "./cluster/kindCluster";
export { ExistingCluster, type ExistingClusterArgs, type WorkloadPlaceArgs } from "./cluster/existingCluster";
export { K3dCluster, type K3dClusterArgs } from "./cluster/k3dCluster";
export { MicroK8sCluster, type MicroK8sClusterArgs } from "./cluster/microK8sCluster";
export { MinikubeCluster, type MinikubeClusterArgs } from "./cluster/minikubeCluster";
export type { StackClusterArgs } from "./cluster/stackCluster";
export { KindNodeRole, PortProtocol } from "../steps/cluster/contract";
export { CertificateApproval, type CertificateApprovalArgs } from "./node/certificateApproval";
export { KrustletBootstrap, type KrustletBootstrapArgs } from "./node/krustletBootstrap";
export { KrustletNode, type KrustletNodeArgs } from "./node/krustletNode";
export { LocalRegistry, type LocalRegistryArgs } from "./registry/localRegistry";
export { RegistryHosting, type RegistryHostingArgs } from "./registry/registryHosting";
export { RegistryPullSecret, type RegistryPullSecretArgs } from "./registry/registryPullSecret";
export { WorkloadKind } from "../steps/workload/contract";
export {
    ConcurrencyPolicy,
    JobRestartPolicy,
    RestartPolicy,
    type WasmEmptyDirArgs,
    type WasmEnvFromArgs,
    type WasmEnvValueFromArgs,
    type WasmLimitsArgs,
    type WasmProgramArgs,
    type WasmVolumeArgs,
} from "./workload/programArgs";
export {
    ServiceType,
    type WasmGrpcArgs,
    type WasmHttpGetArgs,
    type WasmLivenessProbeArgs,
    type WasmPortArgs,
    type WasmProbeArgs,
    type WasmProbesArgs,
    type WasmReadinessProbeArgs,
    type WasmRollingUpdateArgs,
    type WasmServiceArgs,
    type WasmServingArgs,
    type WasmTcpSocketArgs,
} from "./workload/serving/servingArgs";
export { ArtifactFormat, WasmArtifact, type WasmArtifactArgs } from "./workload/wasmArtifact";
export { WasmCronJob, type WasmCronJobArgs } from "./workload/wasmCronJob";
export { WasmDaemonSet, type WasmDaemonSetArgs } from "./workload/wasmDaemonSet";
export { WasmDeployment, type WasmDeploymentArgs } from "./workload/wasmDeployment";
export { WasmJob, type WasmJobArgs } from "./workload/wasmJob";
export { WasmPod, type WasmPodArgs } from "./workload/wasmPod";
export { WasmRuntimeClass, type WasmRuntimeClassArgs } from "./workload/wasmRuntimeClass";
export { WasmStack, type WasmStackWorkload } from "./stack/wasmStack";
export type {
    WasmStackArgs,
    WasmStackNodeArgs,
    WasmStackRegistryArgs,
    WasmStackRuntimeClassArgs,
    WasmStackWorkloadArgs,
} from "./stack/wasmStackArgs";
