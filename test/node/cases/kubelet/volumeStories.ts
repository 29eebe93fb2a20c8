// What a table cannot tell of volumes: file modes on the node, tokens, and updates that reach a running pod.
import assert from "node:assert/strict";
import { becomes, type Story } from "../../runCase";
import type { Pod } from "../../lib/pod";
import { underTest } from "../../underTest";
import { timeOf, type World } from "../../lib/world";
import { configMap, secret } from "../objects";

/** How long an update may take to reach a pod: a kubelet's sync period and its cache's, in seconds. */
const UPDATE = 90;

const mounted = (mountPath = "/v") => ({ volumeMounts: [{ name: "v", mountPath }] });
const volume = (source: object) => ({ volumes: [{ name: "v", ...source }] });

/** Modes (octal) of a pod's files on the node, by their names. Of what was replaced there may be several. */
async function modesOf(world: World, pod: Pod, names: string[]): Promise<Record<string, string>> {
    const files = await world.filesOf(pod);
    const modes = (wanted: string) => files.filter(({ name }) => name === wanted).map(({ mode }) => mode);
    return Object.fromEntries(names.map((name) => [name, [...new Set(modes(name))].join(" ")]));
}

interface TokenClaims {
    aud: string[];
    exp: number;
    iat: number;
    sub: string;
    "kubernetes.io": {
        namespace: string;
        node?: { name: string };
        pod?: { name: string; uid: string };
        serviceaccount: { name: string };
    };
}

export const volumeStories: readonly Story[] = [
    {
        name: "defaultMode and mode are those of the files on the node",
        async run(world) {
            await world.make(configMap("mode-map", { "plain-mode": "a", "own-mode": "b" }));
            await world.make(secret("mode-secret", { "secret-mode": "c" }));
            const pod = await world.start("modes", {
                args: ["ticks", "500", "0"],
                main: {
                    volumeMounts: [
                        { name: "map", mountPath: "/map" },
                        { name: "secret", mountPath: "/secret" },
                    ],
                },
                spec: {
                    volumes: [
                        {
                            name: "map",
                            configMap: {
                                name: "mode-map",
                                defaultMode: 0o640,
                                items: [
                                    { key: "plain-mode", path: "plain-mode" },
                                    { key: "own-mode", path: "own-mode", mode: 0o400 },
                                ],
                            },
                        },
                        { name: "secret", secret: { secretName: "mode-secret", defaultMode: 0o400 } },
                    ],
                },
            });
            await world.untilRunning(pod);
            assert.deepEqual(await modesOf(world, pod, ["plain-mode", "own-mode", "secret-mode"]), {
                "plain-mode": "640",
                "own-mode": "400",
                "secret-mode": "400",
            });
            await world.remove(pod, 0);
        },
    },
    {
        name: "a service account token: audience, life and the pod that it is bound to",
        async run(world) {
            const pod = await world.start("token", {
                args: ["cat", "/v/token"],
                main: mounted(),
                spec: volume({
                    projected: {
                        sources: [
                            {
                                serviceAccountToken: {
                                    path: "token",
                                    audience: "https://vault.example.com",
                                    expirationSeconds: 1200,
                                },
                            },
                        ],
                    },
                }),
            });
            const ended = await world.untilEnded(pod);
            assert.equal(ended.status.phase, "Succeeded", world.describe(pod));
            const [, payload] = (await world.log(pod)).trim().split(".");
            const claims = JSON.parse(Buffer.from(payload, "base64url").toString("utf8")) as TokenClaims;
            assert.deepEqual(claims.aud, ["https://vault.example.com"]);
            assert.equal(claims.exp - claims.iat, 1200);
            assert.ok(claims.iat * 1000 >= timeOf(pod.metadata.creationTimestamp) - 60_000);
            assert.equal(claims.sub, `system:serviceaccount:${world.namespace}:default`);
            const { namespace, node, pod: bound, serviceaccount } = claims["kubernetes.io"];
            assert.deepEqual(
                { namespace, node: node?.name, pod: bound, account: serviceaccount.name },
                {
                    namespace: world.namespace,
                    node: world.place.nodeName,
                    pod: { name: pod.metadata.name, uid: pod.metadata.uid },
                    account: "default",
                },
            );
        },
    },
    {
        name: "updates of a config map, a secret and labels reach a running pod; a subPath stays as it was",
        async run(world) {
            await world.make(configMap("live-map", { key: "map 1" }));
            await world.make(secret("live-secret", { key: "secret 1" }));
            const watcher = (name: string, file: string, mount: object) => ({
                name,
                image: underTest().modules.probe.image,
                args: ["watch", file, "100"],
                volumeMounts: [mount as { name: string; mountPath: string }],
            });
            const pod = await world.start("live", {
                labels: { version: "1" },
                spec: {
                    containers: [
                        watcher("map", "/v/key", { name: "map", mountPath: "/v" }),
                        watcher("secret", "/v/key", { name: "secret", mountPath: "/v" }),
                        watcher("labels", "/v/labels", { name: "labels", mountPath: "/v" }),
                        watcher("sub", "/v/key", { name: "map", mountPath: "/v/key", subPath: "key" }),
                    ],
                    volumes: [
                        { name: "map", configMap: { name: "live-map" } },
                        { name: "secret", secret: { secretName: "live-secret" } },
                        {
                            name: "labels",
                            downwardAPI: {
                                items: [{ path: "labels", fieldRef: { fieldPath: "metadata.labels" } }],
                            },
                        },
                    ],
                },
            });
            await becomes(world, pod, {
                phase: "Running",
                log: {
                    map: "map 1\n",
                    secret: "secret 1\n",
                    labels: 'version="1"\n',
                    sub: "map 1\n",
                },
            });
            const begun = Date.now();
            await world.api.patch("ConfigMap", world.namespace, "live-map", { data: { key: "map 2" } });
            await world.api.patch("Secret", world.namespace, "live-secret", {
                stringData: { key: "secret 2" },
            });
            await world.api.patch("Pod", world.namespace, "live", { metadata: { labels: { version: "2" } } });
            await becomes(world, pod, {
                phase: "Running",
                log: {
                    map: "map 1\nmap 2\n",
                    secret: "secret 1\nsecret 2\n",
                    labels: 'version="1"\nversion="2"\n',
                    sub: "map 1\n",
                },
                withinSeconds: UPDATE,
            });
            console.log(`updates reached a running pod in ${((Date.now() - begun) / 1000).toFixed(1)} s`);
            await world.remove(pod, 0);
        },
    },
];
