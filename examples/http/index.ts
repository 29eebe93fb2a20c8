/**
 * A program that answers HTTP requests, in three pods or more on two Wasm nodes: `curl http://localhost:8080/you` on this host, once it is
 * up. Another program calls it by the name of its Service.
 */
import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import {
    KindCluster,
    KrustletNode,
    LocalRegistry,
    RegistryHosting,
    ServiceType,
    WasmArtifact,
    WasmDeployment,
    WasmJob,
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
/** Containers do not reach it at `localhost:5004`. */
const hosting = new RegistryHosting(
    "hosting",
    {
        address: registry.address,
        containerName: registry.containerName,
        containerId: registry.container.id,
        clusterName: cluster.name,
        clusterIdentity: cluster.identity,
    },
    inCluster,
);

/** In containers on the cluster's network, where each pod that serves has an address of its own. */
const nodes = ["krustlet-a", "krustlet-b"].map(
    (nodeName) =>
        new KrustletNode(
            nodeName,
            {
                nodeName,
                runtime: "container",
                // Its pods leave one after another, as the budget below lets them.
                drainTimeoutSeconds: 300,
                kubeconfigFile: cluster.kubeconfigFile,
                clusterIdentity: cluster.identity,
                network: cluster.network,
                insecureRegistries: ["localhost:5004"],
                registryMirrors: { "localhost:5004": hosting.inClusterAddress },
            },
            inCluster,
        ),
);

const program = (name: string) =>
    new WasmArtifact(`${name}-artifact`, {
        source: `../../workloads/${name}`,
        registry: registry.address,
        registryInstance: registry.instance,
        repository: name,
        insecureRegistries: ["localhost:5004"],
    }).reference;

const hello = new WasmDeployment(
    "hello-http",
    {
        image: program("hello-http"),
        kubeconfigFile: cluster.kubeconfigFile,
        autoscaled: true,
        ports: [{ containerPort: 8080, name: "http" }],
        podAddresses: true,
        probes: {
            readiness: { httpGet: { path: "/" }, periodSeconds: 1 },
            liveness: { httpGet: { path: "/" } },
        },
        service: { type: ServiceType.NodePort, port: 80, nodePort },
        limits: { memory: "64Mi", cpu: "100m" },
    },
    { ...inCluster, dependsOn: nodes },
);

/** Whoever drains a node takes one pod at a time, the next one when another is ready elsewhere. */
new kubernetes.policy.v1.PodDisruptionBudget(
    "hello-http-budget",
    {
        metadata: { name: "hello-http" },
        spec: { maxUnavailable: 1, selector: { matchLabels: { app: "hello-http" } } },
    },
    inCluster,
);

/**
 * As many pods as their processor time asks for. It wants a metrics-server in the cluster, which reads the nodes' /metrics/resource; without
 * one there are `minReplicas`.
 */
new kubernetes.autoscaling.v2.HorizontalPodAutoscaler(
    "hello-http-autoscaler",
    {
        metadata: { name: "hello-http" },
        spec: {
            scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: hello.name },
            minReplicas: 3,
            maxReplicas: 10,
            metrics: [
                {
                    type: "Resource",
                    resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 70 } },
                },
            ],
        },
    },
    inCluster,
);

/** Calls it once, from whichever node, when it is ready. A program reaches no other origin than those that it names. */
const origin = hello.url.apply((url) => url ?? "");
const caller = new WasmJob(
    "caller",
    {
        image: program("probe"),
        kubeconfigFile: cluster.kubeconfigFile,
        args: ["get", pulumi.interpolate`${origin}/you`],
        allowedDomains: [origin],
    },
    { ...inCluster, dependsOn: [hello] },
);

/** For kubectl: `export KUBECONFIG=$(pulumi stack output kubeconfigFile)`. */
export const kubeconfigFile = cluster.kubeconfigFile;
/** Where pods of the cluster reach it. */
export const urlInCluster = hello.url;
/** Where this host reaches it. */
export const url = `http://localhost:${hostPort}`;
/** Shows what the caller was answered: `200 Hello, you!`. */
export const callerLogs = caller.logsCommand;
/** Asks it through the API server. */
export const path = hello.serviceName.apply(
    (name) => `/api/v1/namespaces/default/services/${name}:80/proxy/`,
);
