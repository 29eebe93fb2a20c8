// The engine's log: what a plugin says to the user during an operation.
import * as grpc from "@grpc/grpc-js";
import { EngineClient } from "@pulumi/pulumi/proto/engine_grpc_pb";
import { LogRequest, LogSeverity } from "@pulumi/pulumi/proto/engine_pb";
import { maxMessageBytes } from "./serve";

export class EngineLog {
    private client: EngineClient | undefined;

    constructor(address: string | undefined) {
        if (address !== undefined) {
            this.attach(address);
        }
    }

    attach(address: string): void {
        this.client = new EngineClient(address, grpc.credentials.createInsecure(), {
            "grpc.max_receive_message_length": maxMessageBytes,
            "grpc.max_send_message_length": maxMessageBytes,
        });
    }

    /** A line (all are of severity info) that stays under the resource's diagnostics (the stack's own, for an empty `urn`). */
    log(urn: string, message: string): Promise<void> {
        return this.send(urn, message, false);
    }

    /** The text beside the resource in the progress display; an empty message clears it. */
    status(urn: string, message: string): Promise<void> {
        return this.send(urn, message, true);
    }

    private send(urn: string, message: string, ephemeral: boolean): Promise<void> {
        const client = this.client;
        if (client === undefined) {
            return Promise.resolve();
        }
        const request = new LogRequest();
        request.setSeverity(LogSeverity.INFO);
        request.setUrn(urn);
        request.setMessage(message);
        request.setEphemeral(ephemeral);
        // A log line that does not arrive must not fail the operation that it is about.
        return new Promise((resolve) => client.log(request, () => resolve()));
    }
}

/** Set to `off` by whoever has already told the user that stand-ins are in use. */
const noticeVariable = "KRUSTLET_STACK_STANDIN_NOTICE";

/** Says once for this process that it is not the official plugin. */
export function standInNotice(log: EngineLog, what: string): Promise<void> {
    if (process.env[noticeVariable] === "off") {
        return Promise.resolve();
    }
    return log.log("", `${what}: air-gapped stand-in in use, not the official plugin`);
}
