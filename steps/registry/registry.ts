import * as http from "node:http";
import * as https from "node:https";

/** What a registry answered at `/v2/`; `serves` when it is one, asking for a login or not. */
export interface RegistryAnswer {
    serves: boolean;
    /** `HTTP 404`, `connect ECONNREFUSED …` */
    what: string;
}

/** Whether a registry's address is of this machine, where plain HTTP is what one expects. */
export function isLoopback(registry: string): boolean {
    return /^(localhost|127(\.\d+){3})(:\d+)?$/.test(registry);
}

/**
 * Asks a registry of this machine, which is reached through no proxy, for its API version (OCI distribution specification,
 * "Determining Support"). Others are asked by `wasm-oci ping`. Never throws.
 */
export function askRegistry(
    registry: string,
    plainHttp: boolean,
    timeoutSeconds: number,
): Promise<RegistryAnswer> {
    const [client, scheme] = plainHttp ? [http, "http"] : [https, "https"];
    return new Promise((resolve) => {
        const options = { agent: false, timeout: timeoutSeconds * 1000 };
        const request = client.get(`${scheme}://${registry}/v2/`, options, (response) => {
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
