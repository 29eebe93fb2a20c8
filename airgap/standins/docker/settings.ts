// The provider's own arguments.
import type { CheckResult } from "../lib/provider";
import type { Props } from "../lib/values";
import type { DockerSettings } from "./api";

const served = [
    "host",
    "certPath",
    "registryAuth",
    "disableDockerDaemonCheck",
    "version",
    "pluginDownloadURL",
];

export function defaultHost(): string {
    return process.env.DOCKER_HOST || "unix:///var/run/docker.sock";
}

/** The arguments with the default host; an argument that is not served is an error that says so. */
export function checkSettings(news: Props): CheckResult {
    const failures = Object.keys(news)
        .filter((name) => !name.startsWith("__") && !served.includes(name))
        .map((property) => ({
            property,
            reason: `the air-gapped stand-in of the docker plugin does not serve the provider's argument "${property}"`,
        }));
    return { inputs: { ...news, host: news.host ?? defaultHost() }, failures };
}

/** The arguments as the engine passes them to Configure: strings, JSON for what is no string. */
export function readSettings(args: ReadonlyMap<string, string>): DockerSettings {
    const auth = JSON.parse(args.get("registryAuth") || "[]") as {
        address: string;
        username?: string;
        password?: string;
    }[];
    return {
        host: args.get("host") || defaultHost(),
        certPath: args.get("certPath") || process.env.DOCKER_CERT_PATH,
        registryAuth: auth.map(({ address, username = "", password = "" }) => ({
            address,
            username,
            password,
        })),
    };
}
