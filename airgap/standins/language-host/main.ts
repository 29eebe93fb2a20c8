// pulumi-language-nodejs: the engine's language runtime for Node.js programs, over the runners that come with
// @pulumi/pulumi. For machines where the official host, which the Pulumi CLI's archive brings along, cannot be had.
import { LanguageRuntimeService } from "@pulumi/pulumi/proto/language_grpc_pb";
import { EngineLog, standInNotice } from "../lib/engine";
import { engineAddress, serve } from "../lib/serve";
import { languageRuntime } from "./host";
import { cancelAll } from "./run";

/** Replaced at build time by the version of @pulumi/pulumi. */
declare const STANDIN_VERSION: string;

if (process.argv.includes("-version") || process.argv.includes("--version")) {
    console.log(STANDIN_VERSION);
    process.exit(0);
}

const log = new EngineLog(undefined);
const host = languageRuntime({
    version: STANDIN_VERSION,
    engineAddress: engineAddress(process.argv.slice(2)),
    announce: (address) => {
        log.attach(address);
        return standInNotice(log, "language host nodejs");
    },
});
serve((server) => server.addService(LanguageRuntimeService, host), cancelAll);
