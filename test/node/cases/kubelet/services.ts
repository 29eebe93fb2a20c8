// What a pod is told of the services around it.
import { setTimeout as sleep } from "node:timers/promises";
import type { KubeObject } from "../../lib/api";
import { becomes, type Story } from "../../runCase";
import { show, shown } from "./environment";

/** A service with an address, and one without, of which no pod is told. */
const services = [
    {
        kind: "Service",
        metadata: { name: "web-site" },
        spec: {
            ports: [
                { name: "http", port: 80 },
                { name: "dns", port: 53, protocol: "UDP" },
            ],
        },
    },
    { kind: "Service", metadata: { name: "headless" }, spec: { clusterIP: "None", ports: [{ port: 80 }] } },
] as const;

/** What a pod is told of the first. */
const webVariables = (address: string): Record<string, string> => ({
    WEB_SITE_SERVICE_HOST: address,
    WEB_SITE_SERVICE_PORT: "80",
    WEB_SITE_SERVICE_PORT_HTTP: "80",
    WEB_SITE_SERVICE_PORT_DNS: "53",
    WEB_SITE_PORT: `tcp://${address}:80`,
    WEB_SITE_PORT_80_TCP: `tcp://${address}:80`,
    WEB_SITE_PORT_80_TCP_PROTO: "tcp",
    WEB_SITE_PORT_80_TCP_PORT: "80",
    WEB_SITE_PORT_80_TCP_ADDR: address,
    WEB_SITE_PORT_53_UDP: `udp://${address}:53`,
    WEB_SITE_PORT_53_UDP_PROTO: "udp",
    WEB_SITE_PORT_53_UDP_PORT: "53",
    WEB_SITE_PORT_53_UDP_ADDR: address,
});

export const serviceStories: readonly Story[] = [
    {
        name: "the services of the namespace, unless enableServiceLinks is false",
        async run(world) {
            const [web] = await Promise.all(services.map((service) => world.make(service as KubeObject)));
            const { clusterIP } = (web as KubeObject & { spec: { clusterIP: string } }).spec;
            // Nothing tells when a node has heard of a service: for a kubelet, too, a pod that follows at once may miss it.
            await sleep(1500);
            const variables = webVariables(clusterIP);
            const names = [...Object.keys(variables), "HEADLESS_SERVICE_HOST"];
            const linked = await world.start("services-linked", {
                args: [...show(...names, "OWN")],
                main: { env: [{ name: "OWN", value: "at $(WEB_SITE_SERVICE_HOST)" }] },
            });
            await becomes(world, linked, {
                phase: "Succeeded",
                log: `${shown(variables)}HEADLESS_SERVICE_HOST is not set\nOWN=at ${clusterIP}\n`,
            });
            const apart = await world.start("services-apart", {
                args: show(...names),
                spec: { enableServiceLinks: false },
            });
            await becomes(world, apart, {
                phase: "Succeeded",
                log: names.map((name) => `${name} is not set\n`).join(""),
            });
        },
    },
];
