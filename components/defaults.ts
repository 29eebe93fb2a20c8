/**
 * Defaults that more than one place needs. The images are those that `npm run up` has at hand: common/versions.ts pins
 * them, and a unit test sees that the two agree.
 */

/** kind node image. Its tag is the Kubernetes version of the cluster. */
export const NODE_IMAGE = "kindest/node:v1.36.4";

/** Image of the local OCI registry (CNCF Distribution). */
export const REGISTRY_IMAGE = "registry:3.1.2";

/** What its container's environment sets (the registry's tests run it with just this). */
export const REGISTRY_ENVIRONMENT = [
    // Without this the registry tries to send traces to a collector that is not there, and logs each failure.
    "OTEL_TRACES_EXPORTER=none",
    // As it comes it deletes nothing, which the specification allows; a tag that was pushed must be able to go.
    "REGISTRY_STORAGE_DELETE_ENABLED=true",
];

/** Name of the volume that keeps a local registry's data. */
export function dataVolumeName(containerName: string): string {
    return `${containerName}-data`;
}

/** Port of the local registry on this host. Not 5000: macOS' AirPlay receiver listens there. */
export const REGISTRY_PORT = 5001;

/** Name of the kind cluster. */
export const CLUSTER_NAME = "krustlet";

/** Name of a Krustlet node, as in Krustlet's own documentation. */
export const NODE_NAME = "krustlet";

/** Port of a Krustlet node's API, Krustlet's own default. */
export const NODE_PORT = 3000;

/** The node agent: found on PATH. */
export const NODE_PROGRAM = "krustlet-wasi";

/** The `kubernetes.io/arch` of a node that runs WASI modules: its label, and the value of its taints. */
export const WASM_ARCH = "wasm32-wasi";

/** Name of the RuntimeClass for Wasm nodes. */
export const RUNTIME_CLASS = "krustlet-wasi";
