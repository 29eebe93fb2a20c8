// How a kubeconfig lets a program in at the API server: address, authority and credential, as client-go understands them.
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { expandHome } from "../files";
import { contextOf, readKubeconfig, type ContextParts, type Fields } from "./kubeconfig";
import { proxyUrl } from "../proxy";
import { run, RunError } from "../run";

/** How a program gets at the API server, and who it is there. All but `server` may be unset. Secret. */
export interface ApiAccess {
    /** URL of the API server; it may have a path, as those behind a gateway do. */
    server: string;
    /** PEM certificates that its certificate must be signed by; unset: those that this host trusts. */
    authorityPem?: string;
    /** Name in its certificate, where that is not the server's. */
    serverName?: string;
    /** Its certificate is not verified. */
    insecure?: boolean;
    /** Client certificate and its key, PEM. */
    certificatePem?: string;
    keyPem?: string;
    /** Value of the Authorization header. */
    authorization?: string;
    /** More headers: whom to act as. */
    headers?: Record<string, string | string[]>;
    /** The HTTP proxy that the kubeconfig names, in the place of the environment's. */
    proxy?: URL;
}

/** Gives the access for each request; `renew`: the API server has just refused the one that was given. */
export type AccessSource = (renew?: boolean) => ApiAccess | Promise<ApiAccess>;

/** The access that a context of a kubeconfig file gives, by default its current one. */
export async function accessOf(kubeconfigFile: string, context?: string): Promise<AccessSource> {
    const file = expandHome(kubeconfigFile);
    const parts = contextOf(await readKubeconfig(file), file, context);
    const fixed = await fixedAccess(parts);
    const plugin = parts.user.below("exec");
    const credential = plugin && new ExecCredential(plugin, parts.cluster, fixed);
    const tokenFile = parts.user.text("tokenFile");
    return async (renew = false) => {
        if (credential !== undefined) return { ...fixed, ...(await credential.get(renew)) };
        if (tokenFile === undefined) return fixed;
        // Whoever gave the file writes new tokens into it.
        const token = await contentOf(parts.user, tokenFile, "tokenFile");
        return { ...fixed, authorization: `Bearer ${token.trim()}` };
    };
}

/** All but what is asked for anew each time. */
async function fixedAccess({ cluster, user }: ContextParts): Promise<ApiAccess> {
    const server = serverOf(cluster);
    const [authorityPem, certificatePem, keyPem] = await Promise.all([
        pemOf(cluster, "certificate-authority"),
        pemOf(user, "client-certificate"),
        pemOf(user, "client-key"),
    ]);
    if ((certificatePem === undefined) !== (keyPem === undefined))
        throw user.fault("client-certificate and client-key must be given together");
    if (user.below("auth-provider") !== undefined)
        throw user.fault(
            "auth-provider is gone from Kubernetes since 1.26; use the cloud's exec plugin in its place",
        );
    const [token, username] = [user.text("token"), user.text("username")];
    const basic = `${username}:${user.text("password") ?? ""}`;
    let authorization: string | undefined;
    if (token !== undefined) authorization = `Bearer ${token}`;
    else if (username !== undefined) authorization = `Basic ${Buffer.from(basic).toString("base64")}`;
    const proxy = cluster.text("proxy-url");
    return {
        server,
        authorityPem,
        serverName: cluster.text("tls-server-name"),
        insecure: cluster.flag("insecure-skip-tls-verify"),
        certificatePem,
        keyPem,
        authorization,
        headers: impersonation(user),
        proxy: proxy === undefined ? undefined : proxyIn(cluster, proxy),
    };
}

/** URL of a cluster's API server. */
export function serverOf(cluster: Fields): string {
    const server = cluster.text("server");
    if (server === undefined) throw cluster.fault("it names no server");
    const address = server.includes("://") ? server : `https://${server}`;
    if (!URL.canParse(address) || !/^https?:$/.test(new URL(address).protocol))
        throw cluster.fault("server must be a URL, such as https://127.0.0.1:6443");
    return address;
}

function proxyIn(cluster: Fields, address: string): URL {
    try {
        return proxyUrl(address);
    } catch (error) {
        throw cluster.fault(`proxy-url: ${(error as Error).message}`);
    }
}

/** What a field holds as base64, or the file that it names without `-data`; the data win. */
export async function pemOf(fields: Fields, field: string): Promise<string | undefined> {
    const data = fields.text(`${field}-data`);
    if (data !== undefined) return Buffer.from(data, "base64").toString("utf8");
    const file = fields.text(field);
    return file === undefined ? undefined : contentOf(fields, file, field);
}

async function contentOf(fields: Fields, path: string, field: string): Promise<string> {
    const file = path.startsWith("~/") ? expandHome(path) : resolve(dirname(fields.file), path);
    try {
        return await readFile(file, "utf8");
    } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        throw fields.fault(`${field} ${file} cannot be read (${code ?? "unknown"})`);
    }
}

/** https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation */
function impersonation(user: Fields): Record<string, string | string[]> {
    const [name, uid, groups] = [user.text("as"), user.text("as-uid"), user.texts("as-groups")];
    const extra = user.below("as-user-extra");
    if (name === undefined) return {};
    if (extra !== undefined)
        throw user.fault("as-user-extra is not served; remove it, or give a user of its own");
    return {
        "impersonate-user": name,
        ...(uid === undefined ? {} : { "impersonate-uid": uid }),
        ...(groups.length === 0 ? {} : { "impersonate-group": groups }),
    };
}

/** How long a credential plugin may take, in seconds: it may ask a cloud, and there is nobody that it could ask. */
const pluginSeconds = 60;
/** A credential is not used in the last seconds of its life. */
const marginMilliseconds = 10_000;

/** What a plugin answers. */
interface PluginAnswer {
    apiVersion?: unknown;
    status?: {
        token?: unknown;
        clientCertificateData?: unknown;
        clientKeyData?: unknown;
        expirationTimestamp?: unknown;
    };
}

/** A credential plugin: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins */
class ExecCredential {
    private kept: { access: Partial<ApiAccess>; until: number } | undefined;

    constructor(
        private readonly plugin: Fields,
        private readonly cluster: Fields,
        private readonly access: ApiAccess,
    ) {}

    async get(renew: boolean): Promise<Partial<ApiAccess>> {
        if (this.kept === undefined || renew || Date.now() >= this.kept.until) this.kept = await this.ask();
        return this.kept.access;
    }

    private async ask(): Promise<{ access: Partial<ApiAccess>; until: number }> {
        const { plugin } = this;
        const [command, apiVersion] = [plugin.text("command"), plugin.text("apiVersion")];
        if (command === undefined) throw plugin.fault("command must name the credential plugin");
        if (!/^client\.authentication\.k8s\.io\/v1(beta1)?$/.test(apiVersion ?? ""))
            throw plugin.fault("apiVersion must be client.authentication.k8s.io/v1 or v1beta1");
        if (plugin.text("interactiveMode") === "Always")
            throw plugin.fault(
                "interactiveMode is Always, and there is no terminal here; the plugin must do without",
            );
        // A path is relative to the kubeconfig, a name is looked for on PATH.
        const program = command.includes("/") ? resolve(dirname(plugin.file), command) : command;
        const env = Object.fromEntries(
            plugin.list("env").map((one) => [one.text("name") ?? "", one.text("value") ?? ""]),
        );
        const info = {
            apiVersion,
            kind: "ExecCredential",
            spec: { interactive: false, ...this.clusterInfo() },
        };
        let stdout: string;
        try {
            ({ stdout } = await run([program, ...plugin.texts("args")], {
                env: { ...env, KUBERNETES_EXEC_INFO: JSON.stringify(info) },
                timeoutSeconds: pluginSeconds,
            }));
        } catch (error) {
            if (!(error instanceof RunError)) throw error;
            // Its standard output may hold the credential, and its arguments too; what it says to people does not.
            const said = error.result.stderr.trim().split("\n").slice(-5).join("\n");
            const hint = plugin.text("installHint") ?? "";
            const missing = error.result.exitCode === 127 ? `\n${hint}` : "";
            throw plugin.fault(
                `credential plugin ${command} failed (${error.reason})${said && `:\n${said}`}${missing.trimEnd()}`,
            );
        }
        return this.understood(command, stdout);
    }

    private clusterInfo(): object {
        if (!this.plugin.flag("provideClusterInfo")) return {};
        const { server, serverName, insecure, authorityPem, proxy } = this.access;
        const config = this.cluster
            .list("extensions")
            .find((one) => one.text("name") === "client.authentication.k8s.io/exec")
            ?.raw("extension");
        return {
            cluster: {
                server,
                ...(serverName === undefined ? {} : { "tls-server-name": serverName }),
                ...(insecure ? { "insecure-skip-tls-verify": true } : {}),
                ...(authorityPem === undefined
                    ? {}
                    : { "certificate-authority-data": Buffer.from(authorityPem).toString("base64") }),
                ...(proxy === undefined ? {} : { "proxy-url": proxy.href }),
                ...(config === undefined ? {} : { config }),
            },
        };
    }

    private understood(command: string, stdout: string): { access: Partial<ApiAccess>; until: number } {
        const wrong = (what: string) => this.plugin.fault(`credential plugin ${command} ${what}`);
        let answer: PluginAnswer | null;
        try {
            answer = JSON.parse(stdout) as PluginAnswer | null;
        } catch {
            throw wrong("did not print JSON");
        }
        const { token, clientCertificateData, clientKeyData, expirationTimestamp } = answer?.status ?? {};
        const access: Partial<ApiAccess> = {};
        if (typeof token === "string" && token !== "") access.authorization = `Bearer ${token}`;
        if (typeof clientCertificateData === "string" && typeof clientKeyData === "string") {
            access.certificatePem = clientCertificateData;
            access.keyPem = clientKeyData;
        }
        if (Object.keys(access).length === 0)
            throw wrong("gave neither a token nor a certificate with its key");
        const end = typeof expirationTimestamp === "string" ? Date.parse(expirationTimestamp) : NaN;
        return { access, until: Number.isNaN(end) ? Infinity : end - marginMilliseconds };
    }
}

/** The parts of a kubeconfig that lead to the cluster, without any credential. */
export interface ClusterEntry {
    server: string;
    /** PEM certificates, base64. */
    certificateAuthorityData: string;
}

/** Where a context of a kubeconfig file leads, by default its current one, for a node or an approver that is to know the cluster by its authority. */
export async function clusterOf(kubeconfigFile: string, context?: string): Promise<ClusterEntry> {
    const file = expandHome(kubeconfigFile);
    const { cluster } = contextOf(await readKubeconfig(file), file, context);
    const pem = await pemOf(cluster, "certificate-authority");
    if (pem === undefined) {
        throw cluster.fault(
            "it has no certificate-authority-data, by which a node knows the API server; give the kubeconfig one",
        );
    }
    if (cluster.text("tls-server-name") !== undefined)
        throw cluster.fault(
            "tls-server-name is nothing that a node can join by; give the server by the name in its certificate",
        );
    return { server: serverOf(cluster), certificateAuthorityData: Buffer.from(pem).toString("base64") };
}
