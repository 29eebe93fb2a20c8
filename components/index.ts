/** The library: components that bring up a Kubernetes with Wasm nodes, together (WasmStack) or each on its own. */
export { KindCluster, type KindClusterArgs } from "./cluster/kindCluster";
export { CertificateApproval, type CertificateApprovalArgs } from "./node/certificateApproval";
export { KrustletBootstrap, type KrustletBootstrapArgs } from "./node/krustletBootstrap";
export { KrustletNode, type KrustletNodeArgs } from "./node/krustletNode";
export { LocalRegistry, type LocalRegistryArgs } from "./registry/localRegistry";
export { RegistryHosting, type RegistryHostingArgs } from "./registry/registryHosting";
export { RegistryPullSecret, type RegistryPullSecretArgs } from "./registry/registryPullSecret";
export { WasmArtifact, type ArtifactFormat, type WasmArtifactArgs } from "./workload/wasmArtifact";
export { WasmRuntimeClass, type WasmRuntimeClassArgs } from "./workload/wasmRuntimeClass";
export { WasmWorkload, type WasmWorkloadArgs } from "./workload/wasmWorkload";
export type {
    ConcurrencyPolicy,
    RestartPolicy,
    WasmEmptyDirArgs,
    WasmEnvFromArgs,
    WasmEnvValueFromArgs,
    WasmLimitsArgs,
    WasmProgramArgs,
    WasmVolumeArgs,
    WorkloadKind,
} from "./workload/programArgs";
export { WasmStack, type WasmStackWorkload } from "./wasmStack";
export type {
    WasmStackArgs,
    WasmStackNodeArgs,
    WasmStackRegistryArgs,
    WasmStackWorkloadArgs,
} from "./wasmStackArgs";
