// The command plugin's `local.Command` and `local.run`, as release 1.2.1 serves them.
import { randomBytes } from "node:crypto";
import { standInNotice, type EngineLog } from "../lib/engine";
import { execute, killAll, type Output } from "./execute";
import type {
    CheckFailure,
    CreateInput,
    DeleteInput,
    DiffInput,
    PropertyChange,
    Provider,
    UpdateInput,
} from "./service";
import {
    containsSecret,
    equal,
    secret,
    unknownSentinel,
    unwrapProps,
    type Props,
    type Value,
} from "./values";

const commandToken = "command:local:Command";
const runToken = "command:local:run";

const baseInputs = ["addPreviousOutputInEnv", "dir", "environment", "interpreter", "logging", "stdin"];
const commandInputs = [...baseInputs, "create", "delete", "triggers", "update"];
const runInputs = [...baseInputs, "command"];
/** Arguments of the official plugin that return files: nothing here uses them. */
const unserved = ["archivePaths", "assetPaths"];

function unknownInputs(inputs: Props, known: string[]): CheckFailure[] {
    return Object.keys(inputs)
        .filter((property) => !known.includes(property) && !property.startsWith("__"))
        .map((property) => ({
            property,
            reason: unserved.includes(property)
                ? `the air-gapped stand-in of the command plugin does not serve ${property}`
                : `unknown argument; there are: ${known.join(", ")}`,
        }));
}

function text(value: Value | undefined): string {
    return typeof value === "string" ? value : "";
}

/** Of urn:pulumi:stack::project::parentType$type::name. */
function partsOf(urn: string): { type: string; name: string } {
    const [, , qualified = "", ...name] = urn.split("::");
    return { type: qualified.slice(qualified.lastIndexOf("$") + 1), name: name.join("::") };
}

export class CommandProvider implements Provider {
    constructor(
        readonly version: string,
        private readonly log: EngineLog,
    ) {}

    attach(engineAddress: string): void {
        this.log.attach(engineAddress);
    }

    async configure(): Promise<void> {
        await standInNotice(this.log, `pulumi-resource-command ${this.version}`);
    }

    check(urn: string, news: Props): CheckFailure[] {
        const { type } = partsOf(urn);
        if (type !== commandToken) {
            throw new Error(
                `the air-gapped stand-in of the command plugin serves ${commandToken} only, not ${type}`,
            );
        }
        return unknownInputs(news, commandInputs);
    }

    diff({ oldInputs, news, ignoreChanges }: DiffInput): Map<string, PropertyChange> {
        const changes = new Map<string, PropertyChange>();
        for (const property of commandInputs) {
            const before = oldInputs[property];
            const after = news[property];
            if (ignoreChanges.includes(property) || equal(before, after)) continue;
            const kind = before === undefined ? "add" : after === undefined ? "delete" : "update";
            changes.set(property, { kind, replace: property === "triggers" });
        }
        return changes;
    }

    async create({ urn, inputs, preview }: CreateInput): Promise<{ id: string; outputs: Props }> {
        const id = `${partsOf(urn).name}${randomBytes(4).toString("hex")}`;
        return { id, outputs: await this.run(urn, "create", inputs, { stdout: "", stderr: "" }, preview) };
    }

    update({ urn, olds, news, preview }: UpdateInput): Promise<Props> {
        return this.run(
            urn,
            news.update === undefined ? "create" : "update",
            news,
            this.output(olds),
            preview,
        );
    }

    async delete({ urn, state }: DeleteInput): Promise<void> {
        if (state.delete === undefined) return;
        const plain = unwrapProps(state);
        await execute(text(plain.delete), plain, this.output(state), this.toStatus(urn));
    }

    async invoke(token: string, args: Props): Promise<Props> {
        if (token !== runToken) {
            throw new Error(
                `the air-gapped stand-in of the command plugin serves ${runToken} only, not ${token}`,
            );
        }
        const faults = unknownInputs(args, runInputs);
        if (faults.length > 0) throw new Error(faults.map((f) => `${f.property}: ${f.reason}`).join("; "));
        const plain = unwrapProps(args);
        const output = await execute(
            text(plain.command),
            plain,
            { stdout: "", stderr: "" },
            this.toStatus(""),
        );
        return { ...args, ...this.marked(output, args) };
    }

    cancel(): void {
        killAll();
    }

    private output(state: Props): Output {
        const plain = unwrapProps(state);
        return { stdout: text(plain.stdout), stderr: text(plain.stderr) };
    }

    /** Whatever may come from a secret input is secret too. */
    private marked(output: Output, inputs: Props): Props {
        const mark = (value: string): Value => (containsSecret(inputs) ? secret(value) : value);
        return { stdout: mark(output.stdout), stderr: mark(output.stderr) };
    }

    private async run(
        urn: string,
        which: "create" | "update",
        inputs: Props,
        previous: Output,
        preview: boolean,
    ): Promise<Props> {
        if (preview) {
            return {
                ...inputs,
                ...this.marked({ stdout: unknownSentinel, stderr: unknownSentinel }, inputs),
            };
        }
        if (inputs[which] === undefined) return { ...inputs, ...this.marked(previous, inputs) };
        const plain = unwrapProps(inputs);
        const output = await execute(text(plain[which]), plain, previous, this.toStatus(urn));
        return { ...inputs, ...this.marked(output, inputs) };
    }

    private toStatus(urn: string): (line: string) => void {
        return (line) => void this.log.status(urn, line);
    }
}
