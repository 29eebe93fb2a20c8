/** What the credentials that a node has had can do: as much as it needs, and nothing else. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { agentFiles } from "../../steps/node/agent/agent";
import { tokenIdIn, usernameOf } from "../../steps/node/bootstrap";
import { readOptional } from "../../steps/lib/files";
import { Api, pathOf } from "../node/lib/api";
import { usedBootstrapFile } from "../node/make";
import { mounts } from "../node/cases/objects";
import { underTest } from "../node/underTest";
import { World } from "../node/lib/world";
import { CN, makeCsr, newKey, O } from "../unit/steps/node/makeCsr";
import { readKubeconfig } from "./wire";

const csrs = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const merge = { "content-type": "application/merge-patch+json" };

describe("the bootstrap token", { timeout: 60_000 }, () => {
    let world: World;
    before(async () => {
        world = await World.open("bootstrap-token");
    });
    after(async () => {
        await world.close();
    });

    it("has ended with the join: the API server answers 401, and neither Secret nor file is left", async () => {
        const { node } = underTest();
        const { token } = readKubeconfig(usedBootstrapFile(node));
        assert.match(token ?? "", /^[a-z0-9]{6}\.[a-z0-9]{16}$/);
        const authorization = `Bearer ${token}`;
        const anonymous = new Api(usedBootstrapFile(node));
        try {
            // The API server remembers for some seconds that a token was good.
            await world.until("401 to the revoked token", async () => {
                const { status } = await anonymous.request("GET", csrs, undefined, { authorization });
                return status === 401 ? true : undefined;
            });
            for (const path of [csrs, "/api/v1/nodes", "/version"]) {
                const answer = await anonymous.request("GET", path, undefined, { authorization });
                assert.equal(answer.status, 401, `${path}: ${answer.text.slice(0, 200)}`);
            }
        } finally {
            anonymous.close();
        }
        const secret = pathOf("Secret", "kube-system", `bootstrap-token-${token?.slice(0, 6)}`);
        assert.equal((await world.api.request("GET", secret)).status, 404);
        const left = await readOptional(node.bootstrapFile);
        assert.doesNotMatch(left ?? "", new RegExp(token ?? "-"));
    });

    it("could file certificate requests and read them by name, and nothing else", async () => {
        const { node } = underTest();
        const id = tokenIdIn((await readOptional(usedBootstrapFile(node))) ?? "") ?? "";
        const user = usernameOf(id);
        const groups = [node.bootstrapGroup, "system:bootstrappers", "system:authenticated"];
        const may = async (verb: string, resource: string, more: object = {}) => {
            const [plural, group = ""] = resource.split("@");
            const [name, subresource] = plural.split("/");
            const review = await world.api.request(
                "POST",
                "/apis/authorization.k8s.io/v1/subjectaccessreviews",
                {
                    apiVersion: "authorization.k8s.io/v1",
                    kind: "SubjectAccessReview",
                    spec: {
                        user,
                        groups,
                        resourceAttributes: { verb, group, resource: name, subresource, ...more },
                    },
                },
            );
            assert.equal(review.status, 201, review.text);
            return (JSON.parse(review.text) as { status: { allowed?: boolean } }).status.allowed ?? false;
        };
        const requests = "certificatesigningrequests@certificates.k8s.io";
        for (const verb of ["create", "get"]) assert.equal(await may(verb, requests), true, verb);

        const signer = { name: "kubernetes.io/kubelet-serving" };
        const refused: [string, string, object?][] = [
            ...["list", "watch", "update", "patch", "delete"].map((verb): [string, string] => [
                verb,
                requests,
            ]),
            ["update", "certificatesigningrequests/approval@certificates.k8s.io"],
            ["update", "certificatesigningrequests/status@certificates.k8s.io"],
            ["approve", "signers@certificates.k8s.io", signer],
            ["sign", "signers@certificates.k8s.io", signer],
            // What kubeadm gives to the tokens of its own nodes: their first certificate unseen.
            ["create", "certificatesigningrequests/nodeclient@certificates.k8s.io"],
            ["create", "certificatesigningrequests/selfnodeclient@certificates.k8s.io"],
            ["get", "secrets", { namespace: "kube-system" }],
            ["list", "secrets"],
            ["get", "configmaps", { namespace: "kube-system", name: "kubeadm-config" }],
            ["get", "nodes"],
            ["list", "nodes"],
            ["create", "nodes"],
            ["list", "pods"],
            ["create", "pods", { namespace: "default" }],
            ["create", "serviceaccounts/token", { namespace: "default" }],
            ["create", "leases@coordination.k8s.io", { namespace: "kube-node-lease" }],
            ["create", "clusterrolebindings@rbac.authorization.k8s.io"],
            ["impersonate", "users"],
            ["*", "*"],
        ];
        const allowed: string[] = [];
        for (const [verb, resource, more] of refused)
            if (await may(verb, resource, more)) allowed.push(`${verb} ${resource}`);
        assert.deepEqual(allowed, []);
    });
});

describe("the node's own credential", { timeout: 120_000 }, () => {
    let world: World;
    let node: Api;
    before(async () => {
        world = await World.open("node-credential");
        node = new Api(agentFiles(underTest().node.stateDir).kubeconfigFile);
    });
    after(async () => {
        node.close();
        await world.close();
    });

    const own = () => underTest().node.nodeName;
    const other = () => `${underTest().clusterName}-control-plane`;
    const secret = (name: string) =>
        world.make({ apiVersion: "v1", kind: "Secret", metadata: { name }, stringData: { word: name } });

    it("serves the node: its Node, its pods, and the secret that one of them refers to", async () => {
        await secret("referred-to");
        const pod = await world.start("refers", {
            args: ["ticks", "1000", "0"],
            main: mounts({ word: "/word" }),
            spec: { volumes: [{ name: "word", secret: { secretName: "referred-to" } }] },
        });
        await world.untilRunning(pod);
        const paths = [
            `/api/v1/nodes/${own()}`,
            `/api/v1/pods?fieldSelector=spec.nodeName%3D${own()}`,
            pathOf("Secret", world.namespace, "referred-to"),
            // What its programs find Services by.
            pathOf("EndpointSlice", world.namespace),
        ];
        for (const path of paths) {
            const answer = await node.request("GET", path);
            assert.equal(answer.status, 200, `${path}: ${answer.text}`);
        }
        const heartbeat = { status: { conditions: [] } };
        const status = await node.request("PATCH", `/api/v1/nodes/${own()}/status`, heartbeat, {
            "content-type": "application/strategic-merge-patch+json",
        });
        assert.equal(status.status, 200, status.text);
    });

    it("does nothing else", async () => {
        await secret("not-referred-to");
        const binding = {
            metadata: { name: "bound" },
            target: { apiVersion: "v1", kind: "Node", name: own() },
        };
        const foreignCsr = (name: string) => ({
            apiVersion: "certificates.k8s.io/v1",
            kind: "CertificateSigningRequest",
            metadata: { name: "of-another-node" },
            spec: {
                request: Buffer.from(
                    makeCsr({
                        key: newKey(),
                        subject: [
                            [O, "system:nodes"],
                            [CN, `system:node:${name}`],
                        ],
                    }),
                ).toString("base64"),
                signerName: "kubernetes.io/kube-apiserver-client-kubelet",
                usages: ["digital signature", "client auth"],
            },
        });
        const podOnItself = {
            apiVersion: "v1",
            kind: "Pod",
            metadata: { name: "of-its-own", namespace: world.namespace },
            spec: { nodeName: own(), containers: [{ name: "main", image: "example.com/x:v1" }] },
        };
        const labels = (key: string) => ({ metadata: { labels: { [key]: "" } } });
        const attempts: [string, string, string, object?, Record<string, string>?][] = [
            ["another node's status", "PATCH", `/api/v1/nodes/${other()}/status`, { status: {} }, merge],
            ["another node's labels", "PATCH", `/api/v1/nodes/${other()}`, labels("example.com/x"), merge],
            [
                "another node's lease",
                "PATCH",
                `/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/${other()}`,
                { spec: {} },
                merge,
            ],
            ["another Node's end", "DELETE", `/api/v1/nodes/${other()}`],
            [
                "a role for itself",
                "PATCH",
                `/api/v1/nodes/${own()}`,
                labels("node-role.kubernetes.io/control-plane"),
                merge,
            ],
            [
                "a label that others trust",
                "PATCH",
                `/api/v1/nodes/${own()}`,
                labels("node-restriction.kubernetes.io/x"),
                merge,
            ],
            ["its own taints", "PATCH", `/api/v1/nodes/${own()}`, { spec: { taints: [] } }, merge],
            [
                "a secret that no pod of it refers to",
                "GET",
                pathOf("Secret", world.namespace, "not-referred-to"),
            ],
            ["all secrets of a namespace", "GET", pathOf("Secret", world.namespace)],
            ["all secrets", "GET", "/api/v1/secrets"],
            [
                "a ConfigMap that no pod of it refers to",
                "GET",
                pathOf("ConfigMap", "kube-system", "extension-apiserver-authentication"),
            ],
            ["news of all EndpointSlices", "GET", `${pathOf("EndpointSlice")}?watch=true&timeoutSeconds=1`],
            [
                "an EndpointSlice of its own making",
                "POST",
                pathOf("EndpointSlice", world.namespace),
                {
                    apiVersion: "discovery.k8s.io/v1",
                    kind: "EndpointSlice",
                    metadata: { name: "of-its-own" },
                    addressType: "IPv4",
                    endpoints: [],
                },
            ],
            ["all pods", "GET", "/api/v1/pods"],
            ["another node's pods", "GET", `/api/v1/pods?fieldSelector=spec.nodeName%3D${other()}`],
            ["a pod of its own making", "POST", pathOf("Pod", world.namespace), podOnItself],
            ["a pod's binding", "POST", `${pathOf("Pod", world.namespace, "bound")}/binding`, binding],
            ["another node's pod's end", "DELETE", pathOf("Pod", "kube-system", `etcd-${other()}`)],
            [
                "a service account's token",
                "POST",
                `${pathOf("ServiceAccount", world.namespace, "default")}/token`,
                { spec: {} },
            ],
            ["another node's certificate", "POST", csrs, foreignCsr(other())],
            ["an approval", "PATCH", `${csrs}/x/approval`, { status: {} }, merge],
            ["another node's logs", "GET", `/api/v1/nodes/${other()}/proxy/logs/`],
            [
                "somebody else's place",
                "GET",
                "/api/v1/secrets",
                undefined,
                { "impersonate-user": "kubernetes-admin", "impersonate-group": "system:masters" },
            ],
            [
                "a right",
                "POST",
                "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
                { metadata: { name: "x" }, roleRef: {} },
            ],
        ];
        const answers: string[] = [];
        for (const [what, method, path, body, headers] of attempts) {
            const { status, text } = await node.request(method, path, body, headers);
            if (status !== 403) answers.push(`${what}: ${status} ${text.slice(0, 200)}`);
        }
        assert.deepEqual(answers, []);
        const { metadata } = await world.api.get<{ metadata: { labels: Record<string, string> } }>(
            `/api/v1/nodes/${own()}`,
        );
        assert.equal("node-role.kubernetes.io/control-plane" in metadata.labels, false);
    });
});
