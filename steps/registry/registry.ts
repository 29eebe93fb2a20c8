import { readFileSync } from "node:fs";
import * as http from "node:http";
import * as https from "node:https";
import { rootCertificates } from "node:tls";
import { expandHome } from "../lib/files";

/** What a registry answered at `/v2/`; `serves` when it is one, asking for a login or not. */
export interface RegistryAnswer {
    serves: boolean;
    /** `HTTP 404`, `connect ECONNREFUSED …` */
    what: string;
}

/** Docker Hub's name in references is not the name of its registry. */
function hostOf(registry: string): string {
    return registry === "docker.io" || registry === "index.docker.io" ? "registry-1.docker.io" : registry;
}

/** Whether a registry's address is of this machine, where plain HTTP is what one expects. */
export function isLoopback(registry: string): boolean {
    return /^(localhost|127(\.\d+){3})(:\d+)?$/.test(registry);
}

/** How to ask a registry. */
export interface RegistryQuestion {
    plainHttp: boolean;
    /** PEM file of certificate authorities that are trusted beside the usual ones. */
    trustedCaFile?: string;
}

/** Asks a registry for its API version (OCI distribution specification, "Determining Support"). Never throws. */
export function askRegistry(
    registry: string,
    { plainHttp, trustedCaFile }: RegistryQuestion,
    timeoutSeconds: number,
): Promise<RegistryAnswer> {
    const url = `${plainHttp ? "http" : "https"}://${hostOf(registry)}/v2/`;
    const options: https.RequestOptions = { agent: false, timeout: timeoutSeconds * 1000 };
    if (trustedCaFile !== undefined && !plainHttp) {
        try {
            options.ca = [...rootCertificates, readFileSync(expandHome(trustedCaFile), "utf8")];
        } catch (error) {
            return Promise.resolve({ serves: false, what: `trustedCaFile: ${(error as Error).message}` });
        }
    }
    return new Promise((resolve) => {
        const request = (plainHttp ? http : https).get(url, options, (response) => {
            response.resume();
            const { statusCode } = response;
            resolve({
                serves: statusCode === 200 || statusCode === 401,
                what: `HTTP ${statusCode ?? "?"}`,
            });
            request.destroy();
        });
        request.on("timeout", () => request.destroy(new Error(`no answer within ${timeoutSeconds} s`)));
        // An error of several addresses has its words in its parts.
        request.on("error", (error: Error & { errors?: Error[] }) => {
            resolve({
                serves: false,
                what: error.message.trim() || (error.errors ?? []).map(({ message }) => message).join(", "),
            });
        });
    });
}
