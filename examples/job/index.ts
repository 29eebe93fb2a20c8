/**
 * A stack of one's own from the parts that WasmStack is made of: a cluster, a Wasm node, and a Job. The update is done when
 * the Job is.
 */
import { KindCluster, KrustletNode, LocalRegistry, WasmArtifact, WasmJob } from "krustlet-stack";

const cluster = new KindCluster("cluster", { name: "krustlet-job" });
const inCluster = cluster.inCluster();

const registry = new LocalRegistry("registry", { port: 5003 });

const node = new KrustletNode(
    "node",
    {
        kubeconfigFile: cluster.kubeconfigFile,
        clusterIdentity: cluster.identity,
        nodeIp: cluster.nodeAddress,
        port: 3003,
        insecureRegistries: ["localhost:5003"],
    },
    inCluster,
);

const artifact = new WasmArtifact("artifact", {
    source: "../../workloads/hello-world",
    registry: registry.address,
    registryInstance: registry.instance,
    repository: "hello",
    insecureRegistries: ["localhost:5003"],
});

const job = new WasmJob(
    "job",
    {
        image: artifact.reference,
        node: node.hostname,
        kubeconfigFile: cluster.kubeconfigFile,
    },
    { ...inCluster, dependsOn: [node] },
);

/** For kubectl: `export KUBECONFIG=$(pulumi stack output kubeconfigFile)`. */
export const kubeconfigFile = cluster.kubeconfigFile;
export const logsCommand = job.logsCommand;
