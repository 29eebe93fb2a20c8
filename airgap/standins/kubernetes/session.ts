// What every operation needs: the configured cluster, the provider's settings, and the way to tell the user.
import type { EngineLog } from "../lib/engine";
import type { Props } from "../lib/values";
import type { AwaitContext } from "./await";
import type { KubeClient } from "./client";
import type { Cluster } from "./cluster";
import * as meta from "./metadata";
import { readSettings, type Settings } from "./settings";

export class Session {
    settings: Settings = readSettings(new Map());
    cluster: Cluster = { unreachable: "the provider was not configured", defaultNamespace: "" };
    private readonly cancelled = new AbortController();

    constructor(readonly log: EngineLog) {}

    cancel(): void {
        this.cancelled.abort();
    }

    /** The client, or an error with the reason why there is none. */
    reachable(): KubeClient {
        if (this.cluster.client === undefined) {
            throw new Error(`configured Kubernetes cluster is unreachable: ${this.cluster.unreachable}`);
        }
        return this.cluster.client;
    }

    /** The field manager of an object: as annotated, as recorded, or a new one. */
    fieldManager(inputs: Props, recorded: string): string {
        if (!this.settings.serverSideApply) {
            return "pulumi-kubernetes";
        }
        const annotated = meta.annotation(inputs, meta.annotations.patchFieldManager);
        return annotated || recorded || `pulumi-kubernetes-${meta.randomSuffix(new Uint8Array())}`;
    }

    /** For waiting on an object. An empty `urn` tells the user nothing. */
    awaiting(operation: { urn: string; timeoutSeconds: number }, object: Props, inputs: Props): AwaitContext {
        const { urn, timeoutSeconds } = operation;
        let last = "";
        return {
            client: this.reachable(),
            object,
            timeoutMs: meta.timeoutMs(timeoutSeconds, inputs),
            cancelled: this.cancelled.signal,
            status: (severity, message) => {
                if (message !== last && urn !== "") {
                    last = message;
                    void this.log.status(severity, urn, message);
                }
            },
        };
    }

    clearStatus(urn: string): Promise<void> {
        return this.log.status("info", urn, "");
    }
}
