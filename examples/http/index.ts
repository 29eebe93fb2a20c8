/**
 * A program that answers HTTP requests behind a Service: `curl http://localhost:8080/you` on this host, once it is up, and by its
 * name from every pod of the cluster.
 */
import {
    KindCluster,
    KrustletNode,
    LocalRegistry,
    ServiceType,
    WasmArtifact,
    WasmDeployment,
} from "krustlet-stack";

/** Port of kind's node, by which this host reaches the Service; kube-proxy leads from there to the pods. */
const nodePort = 30080;
const hostPort = 8080;

const cluster = new KindCluster("cluster", {
    name: "krustlet-http",
    portMappings: [{ containerPort: nodePort, hostPort }],
});
const inCluster = cluster.inCluster();

const registry = new LocalRegistry("registry", { port: 5004 });

const node = new KrustletNode(
    "node",
    {
        kubeconfigFile: cluster.kubeconfigFile,
        clusterIdentity: cluster.identity,
        nodeIp: cluster.nodeAddress,
        port: 3004,
        insecureRegistries: ["localhost:5004"],
    },
    inCluster,
);

const artifact = new WasmArtifact("artifact", {
    source: "../../workloads/hello-http",
    registry: registry.address,
    registryInstance: registry.instance,
    repository: "hello-http",
    insecureRegistries: ["localhost:5004"],
});

const hello = new WasmDeployment(
    "hello-http",
    {
        image: artifact.reference,
        kubeconfigFile: cluster.kubeconfigFile,
        // One pod for each Wasm node: at the node's address a port is one pod's alone.
        replicas: 1,
        ports: [{ containerPort: 8080, name: "http" }],
        probes: {
            readiness: { httpGet: { path: "/" }, periodSeconds: 1 },
            liveness: { httpGet: { path: "/" } },
        },
        service: { type: ServiceType.NodePort, port: 80, nodePort },
        limits: { memory: "64Mi" },
    },
    { ...inCluster, dependsOn: [node] },
);

/** For kubectl: `export KUBECONFIG=$(pulumi stack output kubeconfigFile)`. */
export const kubeconfigFile = cluster.kubeconfigFile;
/** Where pods of the cluster reach it. */
export const urlInCluster = hello.url;
/** Where this host reaches it. */
export const url = `http://localhost:${hostPort}`;
/** Asks it through the API server. */
export const path = hello.serviceName.apply(
    (name) => `/api/v1/namespaces/default/services/${name}:80/proxy/`,
);
