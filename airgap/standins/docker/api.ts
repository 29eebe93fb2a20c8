// The Docker Engine API over its socket.
import * as fs from "node:fs";
import * as http from "node:http";
import * as https from "node:https";
import * as os from "node:os";
import * as path from "node:path";
import type { Props, Value } from "../lib/values";
import { isProps, textAt } from "../lib/values";

/** An answer of the daemon that is no success. */
export class DockerError extends Error {
    constructor(
        readonly status: number,
        message: string,
    ) {
        super(message);
    }
}

export interface DockerSettings {
    /** unix:///var/run/docker.sock, tcp://host:2375 … */
    host: string;
    /** Folder with ca.pem, cert.pem and key.pem, for a TCP host with TLS. */
    certPath?: string;
    registryAuth: { address: string; username: string; password: string }[];
}

export class Docker {
    private readonly agent: http.Agent;
    private readonly target: http.RequestOptions;
    private readonly send: typeof http.request;

    constructor(private readonly settings: DockerSettings) {
        const { host, certPath } = settings;
        const tls = certPath === undefined || certPath === "" ? undefined : certPath;
        const scheme = /^([a-z]+):\/\//.exec(host)?.[1];
        if (scheme === "unix") {
            this.target = { socketPath: host.slice("unix://".length) };
        } else if (scheme === "tcp" || scheme === "http" || scheme === "https") {
            const url = new URL(host.replace(/^tcp/, "http"));
            this.target = { host: url.hostname, port: url.port || (tls ? 2376 : 2375) };
        } else {
            throw new Error(
                `the air-gapped stand-in of the docker plugin serves hosts unix:// and tcp://, got "${host}"`,
            );
        }
        const read = (file: string): Buffer => fs.readFileSync(path.join(tls ?? "", file));
        this.send = tls ? https.request : http.request;
        this.agent = tls
            ? new https.Agent({
                  keepAlive: true,
                  ca: read("ca.pem"),
                  cert: read("cert.pem"),
                  key: read("key.pem"),
              })
            : new http.Agent({ keepAlive: true });
    }

    /** One request with a JSON answer; the value is null for an answer without a body. Throws DockerError. */
    async json(method: string, url: string, body?: Value): Promise<Value> {
        const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
        const headers = payload === undefined ? {} : { "content-type": "application/json" };
        const text = (await this.raw(method, url, payload, headers)).toString("utf8");
        return text.trim() === "" ? null : (JSON.parse(text) as Value);
    }

    /** The answer's object, or undefined when the daemon knows no such thing. */
    async find(url: string): Promise<Props | undefined> {
        try {
            const found = await this.json("GET", url);
            return isProps(found) ? found : undefined;
        } catch (err) {
            if (err instanceof DockerError && err.status === 404) {
                return undefined;
            }
            throw err;
        }
    }

    raw(
        method: string,
        url: string,
        payload?: Buffer,
        headers: http.OutgoingHttpHeaders = {},
    ): Promise<Buffer> {
        const length = payload === undefined ? {} : { "content-length": payload.length };
        return new Promise((resolve, reject) => {
            const request = this.send(
                {
                    ...this.target,
                    agent: this.agent,
                    method,
                    path: url,
                    headers: { host: "docker", ...headers, ...length },
                },
                (response) => {
                    const chunks: Buffer[] = [];
                    response.on("data", (chunk: Buffer) => chunks.push(chunk));
                    response.on("error", reject);
                    response.on("end", () => {
                        const answer = Buffer.concat(chunks);
                        const status = response.statusCode ?? 0;
                        if (status >= 200 && status < 400)
                            resolve(answer); // 304: it is so already
                        else reject(new DockerError(status, messageOf(answer) || `HTTP status ${status}`));
                    });
                },
            );
            request.on("error", (err) => {
                const what = `cannot reach the Docker daemon at ${this.settings.host}. Is it running? (${err.message})`;
                reject(new Error(what, { cause: err }));
            });
            request.end(payload);
        });
    }

    /** The image of that name, id or digest on this machine, or undefined. */
    image(name: string): Promise<Props | undefined> {
        return this.find(`/images/${encodeURIComponent(name).replaceAll("%2F", "/")}/json`);
    }

    /** The image on this machine, pulled if it is not here yet. */
    async imageOrPull(name: string, platform = ""): Promise<Props> {
        const here = await this.image(name);
        if (here !== undefined) {
            return here;
        }
        await this.pull(name, platform).catch((err: Error) => {
            throw new Error(`unable to find or pull image ${name}: ${err.message}`);
        });
        const pulled = await this.image(name);
        if (pulled === undefined) {
            throw new Error(`unable to find or pull image ${name}: it is not there after the pull`);
        }
        return pulled;
    }

    private async pull(name: string, platform: string): Promise<void> {
        const { registry, repository, reference } = parseImageName(name);
        const query = new URLSearchParams({
            fromImage: repository,
            tag: reference,
            ...(platform ? { platform } : {}),
        });
        const auth = Buffer.from(JSON.stringify(this.credentials(registry))).toString("base64url");
        const progress = await this.raw("POST", `/images/create?${query.toString()}`, undefined, {
            "x-registry-auth": auth,
        });
        for (const line of progress.toString("utf8").split("\n")) {
            if (line.trim() !== "") {
                const step = JSON.parse(line) as Value;
                if (textAt(step, "error") !== "") {
                    throw new Error(textAt(step, "error"));
                }
            }
        }
    }

    /** From the provider's registryAuth, else from the Docker CLI's own file. */
    private credentials(registry: string): Props {
        const strip = (address: string): string => address.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
        const given = this.settings.registryAuth.find((auth) => strip(auth.address) === registry);
        if (given !== undefined) {
            return { username: given.username, password: given.password, serveraddress: given.address };
        }
        const file = path.join(
            process.env.DOCKER_CONFIG || path.join(os.homedir(), ".docker"),
            "config.json",
        );
        if (!fs.existsSync(file)) {
            return {};
        }
        const { auths = {} } = JSON.parse(fs.readFileSync(file, "utf8")) as {
            auths?: Record<string, { auth?: string }>;
        };
        const entry = Object.entries(auths).find(([address]) => strip(address) === registry)?.[1].auth;
        if (entry === undefined) {
            return {};
        }
        const [username, ...password] = Buffer.from(entry, "base64").toString("utf8").split(":");
        return { username, password: password.join(":"), serveraddress: registry };
    }
}

/** `registry:5000/a/b:tag` or `…@sha256:…` in its parts; no registry means Docker Hub, no tag means latest. */
export function parseImageName(name: string): { registry: string; repository: string; reference: string } {
    const [first] = name.split("/");
    const hasRegistry = name.includes("/") && (/[.:]/.test(first) || first === "localhost");
    const [withTag, digest] = name.split("@");
    const tagAt = withTag.indexOf(":", withTag.lastIndexOf("/") + 1);
    const repository = tagAt < 0 ? withTag : withTag.slice(0, tagAt);
    return {
        registry: hasRegistry ? first : "index.docker.io",
        repository,
        reference: digest ?? (tagAt < 0 ? "latest" : withTag.slice(tagAt + 1)),
    };
}

function messageOf(answer: Buffer): string {
    const text = answer.toString("utf8");
    try {
        return textAt(JSON.parse(text) as Value, "message");
    } catch {
        return text.trim();
    }
}
