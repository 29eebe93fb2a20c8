// What the suite made for these tests: a cluster, its Wasm node, and registries with modules in them.
import { readFileSync } from "node:fs";
import type { ProcessNodeInput } from "../../steps/contract";

/** A module in a registry. */
export interface PushedModule {
    /** `registry/repository:tag` */
    image: string;
    /** `registry/repository@sha256:…`: what a container's `imageID` must be. */
    imageId: string;
    /** The WebAssembly file that was pushed. */
    file: string;
}

/** All that a test needs to know of the node under test. It is written once, and read by each test file's process. */
export interface NodeUnderTest {
    clusterName: string;
    /** Admin kubeconfig. */
    kubeconfigFile: string;
    /** What the agent was launched with. */
    node: ProcessNodeInput;
    /** Name of kind's own node, whose kubelet runs containers. */
    kindNodeName: string;
    /** A registry that speaks plain HTTP and wants no login (host:port). */
    registry: string;
    privateRegistry: {
        /** The address for which the node has no login. */
        address: string;
        /** Another name of the same registry, for which the node's own docker config file has the login. */
        knownToNode: string;
        username: string;
        password: string;
    };
    /** Where the tests may let a registry of their own listen; the agent speaks plain HTTP to it. */
    scriptedRegistry: { host: string; port: number };
    /** A folder that pods may mount. */
    hostPath: string;
    /** `--container-log-max-size-bytes` and `--container-log-max-files` of this agent. */
    logRotation: { maxBytes: number; maxFiles: number };
    modules: {
        /** workloads/probe for WASI preview 1; for kind's own node there is a container under the same name. */
        probe: PushedModule;
        /** workloads/probe as a WASI 0.2 component. */
        component: PushedModule;
        ticker: PushedModule;
        hello: PushedModule;
        /** workloads/cat-facts: a module. */
        catFacts: PushedModule;
        /** workloads/cat-facts-component. */
        catFactsComponent: PushedModule;
        /** workloads/hello-http; for kind's own node the probe, whose command `serve` answers alike. */
        helloHttp: PushedModule;
        /** workloads/visits. */
        visits: PushedModule;
    };
}

/** Name of the environment variable with the path of a NodeUnderTest, as JSON. */
export const UNDER_TEST = "KRUSTLET_TEST_NODE";

let known: NodeUnderTest | undefined;

/** What the suite `node` has made. */
export function underTest(): NodeUnderTest {
    const file = process.env[UNDER_TEST];
    if (file === undefined) throw new Error(`${UNDER_TEST} is not set; run \`npm test -- node\``);
    known ??= JSON.parse(readFileSync(file, "utf8")) as NodeUnderTest;
    return known;
}
