// What the engine expects of every plugin process: a gRPC server on a free loopback port, the port as the first line of
// standard output, and an end when the engine asks (SIGINT) or has gone.
import * as grpc from "@grpc/grpc-js";

/** The engine sends whole resource states in one message; this is the limit that Pulumi's own plugins set. */
export const maxMessageBytes = 400 * 1024 * 1024;

/**
 * The address of the engine's own gRPC server ("127.0.0.1:1234"), which the engine passes as the last argument, or undefined
 * when the process was started by hand or by an engine that sends it in a handshake.
 */
export function engineAddress(argv: readonly string[]): string | undefined {
    return argv.filter((arg) => /^[^-\s][^\s]*:\d+$/.test(arg)).at(-1);
}

/** Serves until the engine is done with us. `onStop` runs once, before the process ends. */
export function serve(register: (server: grpc.Server) => void, onStop: () => void = () => undefined): void {
    const server = new grpc.Server({
        "grpc.max_receive_message_length": maxMessageBytes,
        "grpc.max_send_message_length": maxMessageBytes,
    });
    register(server);
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (err, port) => {
        if (err) {
            console.error(`cannot listen on 127.0.0.1: ${err.message}`);
            process.exit(1);
        }
        process.stdout.write(`${port}\n`);
    });
    const stop = (): never => {
        onStop();
        server.forceShutdown();
        process.exit(0);
    };
    process.on("SIGINT", stop);
    process.on("SIGTERM", stop);
    // An engine that was killed tells nobody. Its children are then handed to another parent.
    const parent = process.ppid;
    setInterval(() => {
        if (process.ppid !== parent) {
            stop();
        }
    }, 1000).unref();
}

/** A handler of one unary call as a plain or async function; what it throws becomes the call's error. */
export function unary<Req, Res>(
    handler: (request: Req) => Res | Promise<Res>,
): grpc.handleUnaryCall<Req, Res> {
    return (call, callback) => {
        Promise.resolve(call.request)
            .then(handler)
            .then(
                (response) => callback(null, response),
                (err: unknown) =>
                    callback({
                        code: grpc.status.UNKNOWN,
                        details: err instanceof Error ? err.message : String(err),
                    }),
            );
    };
}
