// The calls of the LanguageRuntime service. Those that generate code or packages are left out: they need Go libraries of the
// official host, and no command that runs a program calls them.
import { execFile, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import * as grpc from "@grpc/grpc-js";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import * as pb from "@pulumi/pulumi/proto/language_pb";
import { PackageDependency, PackageParameterization, PluginInfo } from "@pulumi/pulumi/proto/plugin_pb";
import { unary } from "../lib/serve";
import { parseOptions } from "./options";
import { programDependencies, requiredPackages, resolvePackageManager } from "./packages";
import * as run from "./run";

export interface HostSettings {
    version: string;
    engineAddress: string | undefined;
    /** Called with the engine's address before a program runs. */
    announce: (engineAddress: string) => Promise<void>;
}

export function languageRuntime(settings: HostSettings): grpc.UntypedServiceImplementation {
    let engine = settings.engineAddress;

    return {
        handshake: unary((request: pb.LanguageHandshakeRequest) => {
            engine = request.getEngineAddress();
            return new pb.LanguageHandshakeResponse();
        }),

        getPluginInfo: unary(() => {
            const info = new PluginInfo();
            info.setVersion(settings.version);
            return info;
        }),

        getRequiredPackages: unary((request: pb.GetRequiredPackagesRequest) => {
            const response = new pb.GetRequiredPackagesResponse();
            response.setPackagesList(
                requiredPackages(infoOf(request).getProgramDirectory()).map(toDependency),
            );
            return response;
        }),

        getProgramDependencies: unary((request: pb.GetProgramDependenciesRequest) => {
            const directory = infoOf(request).getProgramDirectory();
            const response = new pb.GetProgramDependenciesResponse();
            for (const { name, version } of programDependencies(
                directory,
                request.getTransitivedependencies(),
            )) {
                const dependency = new pb.DependencyInfo();
                dependency.setName(name);
                dependency.setVersion(version);
                response.addDependencies(dependency);
            }
            return response;
        }),

        about: unary(async (request: pb.AboutRequest) => {
            const info = infoOf(request);
            const manager = resolvePackageManager(optionsOf(info).packagemanager, info.getProgramDirectory());
            const response = new pb.AboutResponse();
            response.setExecutable(findOnPath("node") ?? process.execPath);
            response.setVersion(await outputOf("node", ["--version"]));
            response.getMetadataMap().set("packagemanager", manager);
            response.getMetadataMap().set("packagemanagerVersion", await versionOf(manager));
            return response;
        }),

        runtimeOptionsPrompts: unary((request: pb.RuntimeOptionsRequest) => {
            const response = new pb.RuntimeOptionsResponse();
            const options = infoOf(request).getOptions()?.toJavaScript() ?? {};
            if (!("packagemanager" in options)) {
                response.addPrompts(packageManagerPrompt());
            }
            return response;
        }),

        template: unary(() => new pb.TemplateResponse()),

        run: unary(async (request: pb.RunRequest) => {
            if (engine === undefined) {
                throw new Error(
                    "the engine's address is not known: it must be an argument or come by Handshake",
                );
            }
            await settings.announce(engine);
            const response = new pb.RunResponse();
            try {
                const result = await run.runProgram(toRunRequest(request, engine));
                response.setError(result.error);
                response.setBail(result.bail);
            } catch (err) {
                response.setError(err instanceof Error ? err.message : String(err));
            }
            return response;
        }),

        installDependencies: (call: InstallCall) => {
            installDependencies(call).then(
                () => call.end(),
                (err: unknown) => failStream(call, err),
            );
        },

        runPlugin: (call: PluginCall) => {
            runPlugin(call).then(
                () => call.end(),
                (err: unknown) => failStream(call, err),
            );
        },

        cancel: unary(() => {
            run.cancelAll();
            return new Empty();
        }),
    };
}

type InstallCall = grpc.ServerWritableStream<pb.InstallDependenciesRequest, pb.InstallDependenciesResponse>;
type PluginCall = grpc.ServerWritableStream<pb.RunPluginRequest, pb.RunPluginResponse>;

/** Ends a stream with an error status. */
function failStream(call: InstallCall | PluginCall, err: unknown): void {
    call.emit("error", {
        code: grpc.status.UNKNOWN,
        details: err instanceof Error ? err.message : String(err),
    });
}

function infoOf(request: { getInfo(): pb.ProgramInfo | undefined }): pb.ProgramInfo {
    const info = request.getInfo();
    if (info === undefined) {
        throw new Error("the engine sent no program info");
    }
    return info;
}

function optionsOf(info: pb.ProgramInfo): ReturnType<typeof parseOptions> {
    return parseOptions(info.getOptions()?.toJavaScript() ?? {});
}

function toRunRequest(request: pb.RunRequest, engineAddress: string): run.RunRequest {
    const info = infoOf(request);
    return {
        engineAddress,
        monitorAddress: request.getMonitorAddress(),
        organization: request.getOrganization(),
        project: request.getProject(),
        stack: request.getStack(),
        rootDirectory: info.getRootDirectory(),
        programDirectory: info.getProgramDirectory(),
        entryPoint: info.getEntryPoint(),
        dryRun: request.getDryrun(),
        parallel: request.getParallel(),
        args: request.getArgsList(),
        config: new Map(request.getConfigMap().getEntryList()),
        configSecretKeys: request.getConfigsecretkeysList(),
        options: info.getOptions()?.toJavaScript() ?? {},
        attachDebugger: request.getAttachDebugger(),
    };
}

function toDependency(required: ReturnType<typeof requiredPackages>[number]): PackageDependency {
    const dependency = new PackageDependency();
    dependency.setName(required.name);
    dependency.setKind("resource");
    dependency.setVersion(required.version);
    dependency.setServer(required.server);
    if (required.parameterization) {
        const parameterization = new PackageParameterization();
        parameterization.setName(required.parameterization.name);
        parameterization.setVersion(required.parameterization.version);
        parameterization.setValue(required.parameterization.value);
        dependency.setParameterization(parameterization);
    }
    return dependency;
}

function packageManagerPrompt(): pb.RuntimeOptionPrompt {
    const value = (name: string): pb.RuntimeOptionPrompt.RuntimeOptionValue => {
        const choice = new pb.RuntimeOptionPrompt.RuntimeOptionValue();
        choice.setPrompttype(pb.RuntimeOptionPrompt.RuntimeOptionType.STRING);
        choice.setStringvalue(name);
        choice.setDisplayname(findOnPath(name) === undefined ? `${name} [not found]` : name);
        return choice;
    };
    const prompt = new pb.RuntimeOptionPrompt();
    prompt.setKey("packagemanager");
    prompt.setDescription("The package manager to use for installing dependencies");
    prompt.setPrompttype(pb.RuntimeOptionPrompt.RuntimeOptionType.STRING);
    prompt.setChoicesList(["npm", "pnpm", "yarn", "bun"].map(value));
    prompt.setDefault(value("npm"));
    return prompt;
}

async function installDependencies(call: InstallCall): Promise<void> {
    const send = (text: string | Buffer, stream: "stdout" | "stderr"): void => {
        const response = new pb.InstallDependenciesResponse();
        const bytes = Buffer.from(text);
        if (stream === "stdout") response.setStdout(bytes);
        else response.setStderr(bytes);
        call.write(response);
    };
    const info = infoOf(call.request);
    const manager = resolvePackageManager(optionsOf(info).packagemanager, info.getProgramDirectory());
    send("Installing dependencies...\n\n", "stdout");
    const args = ["install", ...(manager === "npm" ? ["--loglevel=error"] : [])];
    const code = await new Promise<number | null>((resolve, reject) => {
        const child = spawn(manager, args, {
            cwd: info.getProgramDirectory(),
            stdio: ["ignore", "pipe", "pipe"],
        });
        child.stdout.on("data", (chunk: Buffer) => send(chunk, "stdout"));
        child.stderr.on("data", (chunk: Buffer) => send(chunk, "stderr"));
        child.on("error", (err) => reject(new Error(`could not run ${manager}: ${err.message}`)));
        child.on("close", resolve);
    });
    if (code !== 0) {
        throw new Error(
            `${manager} ${args.join(" ")} failed with exit code ${code} in ${info.getProgramDirectory()}`,
        );
    }
    send("Finished installing dependencies\n\n", "stdout");
}

async function runPlugin(call: PluginCall): Promise<void> {
    const request = call.request;
    const info = infoOf(request);
    if (request.getKind() === "analyzer") {
        throw new Error("this air-gapped language host does not run policy packs");
    }
    const options = optionsOf(info);
    const directory = info.getProgramDirectory();
    const runner = run.locateRunner(
        "@pulumi/pulumi/cmd/run-plugin",
        directory,
        `npm install in ${directory}`,
    );
    const env = Object.fromEntries(
        request
            .getEnvList()
            .map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
    );
    const end = await run.runNode([runner, ...options.nodeargs, directory, ...request.getArgsList()], {
        env: { ...env, ...run.optionsEnvironment(options) },
        cwd: request.getPwd(),
        stdout: (chunk) => {
            const response = new pb.RunPluginResponse();
            response.setStdout(chunk);
            call.write(response);
        },
        stderr: (chunk) => {
            const response = new pb.RunPluginResponse();
            response.setStderr(chunk);
            call.write(response);
        },
    });
    if (end.code !== 0) {
        throw new Error(`Program exited with non-zero exit code: ${end.code ?? end.signal}`);
    }
}

function findOnPath(name: string): string | undefined {
    return (process.env.PATH ?? "")
        .split(path.delimiter)
        .map((directory) => path.join(directory, name))
        .find((file) => fs.existsSync(file));
}

/** A package manager's version: as its own package says, for the engine asks at each update and to run one takes longer than to start us. */
export function versionOf(manager: string): Promise<string> {
    try {
        const manifest = path.join(
            path.dirname(fs.realpathSync(findOnPath(manager) ?? "")),
            "..",
            "package.json",
        );
        const { name, version } = JSON.parse(fs.readFileSync(manifest, "utf8")) as Record<string, string>;
        if (name === manager) return Promise.resolve(version);
    } catch {
        // It is no script in a package.
    }
    return outputOf(manager, ["--version"]);
}

/** The trimmed standard output, or nothing when the command cannot be run: it is only shown by `pulumi about`. */
function outputOf(command: string, args: string[]): Promise<string> {
    return new Promise((resolve) => {
        execFile(command, args, (err, stdout) => resolve(err ? "" : stdout.trim()));
    });
}
