// The crash table: somebody is killed at each of a stack's resources, when it is made and when it is deleted; then the next update has to end
// as one that nothing happened to, with nothing left to do, and the next `down` to leave nothing.
import assert from "node:assert/strict";
import {
    killedAt,
    madeByPlugins,
    victims,
    type Aim,
    type Command,
    type Killed,
    type Made,
    type Victim,
} from "./killed";
import type { StackUnderTest } from "../stackUnderTest";

/** A stack to be killed. */
export interface Crashing {
    stack: StackUnderTest;
    /** What stands of it: the same list after each update that comes to its end. */
    stands(): Promise<string[]>;
    /** What a `down` has left; nothing is what it should be. */
    left(): Promise<string[]>;
    /** Which resources are killed at. Default: all. */
    only?: RegExp;
}

/** When somebody is killed, and what is run then; each begins where the one before it ends, and the first where the last one does. */
export const moments = ["delete, up", "delete, down", "create, down", "create, up"] as const;
export type Moment = (typeof moments)[number];
export type Column = `${Victim}: ${Moment}`;

/** Who is killed at each resource and when. */
export const columns: readonly Column[] = victims.flatMap((who) =>
    moments.map((moment) => `${who}: ${moment}` as const),
);

/** What became of a kill: `yes`, `MISSED`, `NOBODY`, or what is wrong. */
export type Table = Map<string, Partial<Record<Column, string>>>;

/** All went well, but each time that somebody was killed the resource was not begun yet, or at its end: that shows less. */
export const MISSED = "missed";
/** There is nobody to kill: Pulumi itself is at it, with no other process that it waits for. */
export const NOBODY = "nobody";

/** A resource that is missed is tried again so often in all, sooner where it was at its end, else later. */
const TRIES = 4;

/** How long after its beginning a resource is killed first, in milliseconds, one after the other. */
const DELAYS = [0, 30, 120];

/** How many resources of a column are `yes`, `MISSED`, `NOBODY`, or else. */
export function countOf(table: Table, column: Column): Record<"yes" | "missed" | "nobody" | "wrong", number> {
    const cells = [...table.values()].map((row) => row[column]);
    const [yes, missed, nobody] = ["yes", MISSED, NOBODY].map(
        (word) => cells.filter((cell) => cell === word).length,
    );
    return { yes, missed, nobody, wrong: cells.length - yes - missed - nobody };
}

/** What the stack's program prints. */
const LOG_LINE = /^Hello, World!$/m;

export class CrashTable {
    readonly rows: Table = new Map();
    private standing: string[] = [];
    private readonly makers = new Map<string, Made["makers"]>();
    private kills = 0;
    /** What an earlier row has left for good: it is told once. */
    private readonly lost = new Set<string>();
    /** By column and name, what was missed each time. */
    private readonly missed = new Set<string>();

    constructor(
        private readonly crashing: Crashing,
        private readonly say: (line: string) => void = () => undefined,
    ) {}

    /** Runs some of the columns. */
    async run(wanted: readonly Column[] = columns): Promise<Table> {
        const { stack, only = /^/ } = this.crashing;
        assert.equal(await this.ends("up"), "yes");
        this.standing = (await this.crashing.stands()).map(unnumbered);
        for (const { name, makers } of await madeByPlugins(stack)) {
            if (!only.test(name)) continue;
            this.rows.set(name, {});
            this.makers.set(name, makers);
        }
        this.say(`${this.rows.size} resources`);
        let stands = true;
        for (const column of wanted) {
            const deletes = column.includes("delete");
            if (deletes !== stands) await (deletes ? this.ends("up") : this.vanishes());
            const [command, other] = deletes ? (["down", "up"] as const) : (["up", "down"] as const);
            stands = column.endsWith("up");
            if (column.endsWith(other)) await this.each(column, command);
            else await this.inOneGo(column, command);
        }
        await this.vanishes();
        return this.rows;
    }

    /** Kills at one resource (or those that are begun together with it), has that mended, and goes on with the next. */
    private async each(column: Column, command: Command): Promise<void> {
        const killed = async (at: string[]) => {
            const became = await (command === "up" ? this.vanishes() : this.converges());
            for (const name of at) this.note(name, column, became);
            if (became !== "yes") this.say(became);
        };
        await this.kill(column, command, killed, () => this.startsOver(command));
    }

    /** Kills each run at the next resource, where the one before was killed at the last; at the end nothing is to be seen of it. */
    private async inOneGo(column: Column, command: Command): Promise<void> {
        const at: string[] = [];
        const ended = () => (command === "up" ? this.converges() : this.vanishes());
        await this.kill(
            column,
            command,
            (names) => {
                at.push(...names);
                for (const name of names) this.note(name, column, "killed");
                return Promise.resolve();
            },
            async () => {
                const became = await ended();
                for (const name of at.splice(0)) this.note(name, column, became);
                await this.startsOver(command);
            },
        );
        const became = await ended();
        if (became !== "yes") this.say(became);
        for (const name of at) this.note(name, column, became);
    }

    /** A run came to its own end: the next ones start where the first did. */
    private async startsOver(command: Command): Promise<void> {
        if (command === "up") await this.vanishes();
        else await this.ends("up");
    }

    private async kill(
        column: Column,
        command: Command,
        killed: (at: string[]) => Promise<void>,
        passed: () => Promise<void>,
    ): Promise<void> {
        const who = column.startsWith("engine") ? "engine" : "maker";
        const makerOf = (name: string) => this.makers.get(name)?.[command];
        if (who === "maker")
            for (const name of this.rows.keys())
                if (makerOf(name) === undefined) this.note(name, column, NOBODY);
        const isOpen = (name: string) => {
            const row = this.rows.get(name);
            return row !== undefined && row[column] === undefined;
        };
        const tries = new Map<string, number>();
        const delays = new Map<string, number>();
        let failures = 0;
        // Whether the run begins where the first one did, and so with each resource that it begins with at all.
        for (let isFirst = true; [...this.rows.keys()].some(isOpen);) {
            let wanted: string | undefined;
            const delay = DELAYS[this.kills++ % DELAYS.length];
            const aim: Aim = {
                ...{ who, makerOf },
                isWanted: (name) => {
                    if (wanted === undefined && isOpen(name)) wanted = name;
                    return name === wanted;
                },
                delayOf: (name) => delays.get(name) ?? delay,
            };
            const begun = Date.now();
            const seconds = () => `${((Date.now() - begun) / 1000).toFixed(0)} s`;
            const ended = await killedAt(this.crashing.stack, command, aim);
            // Its note holds what runs before were killed at, too.
            const at = ended.at?.filter(isOpen) ?? [];
            const what = at.length > 0 ? [at.join(", ")] : [];
            if (wanted !== undefined && !at.includes(wanted)) {
                const made = await madeByPlugins(this.crashing.stack);
                const isOver = made.some(({ name }) => name === wanted) === (command === "up");
                const waited = aim.delayOf(wanted);
                delays.set(wanted, isOver ? Math.floor(waited / 8) : 2 * waited + 10);
                what.push(`${isOver ? "after" : "before"} ${wanted}, which had ${waited} ms`);
                const tried = (tries.get(wanted) ?? 0) + 1;
                tries.set(wanted, tried);
                if (tried === TRIES) {
                    at.push(wanted);
                    this.missed.add(`${column} ${wanted}`);
                }
            }
            if (!ended.at) what.push(`ended (${ended.exitCode})`);
            this.say(`${column}: ${what.join("; ")} (${seconds()})`);
            if (!ended.at && ended.exitCode !== 0) {
                this.say(`${command} fails: ${shortly(ended)}`);
                for (const [name, row] of this.rows)
                    if (row[column] === "killed") this.note(name, column, `${command} fails`);
                assert.ok(++failures < 3, `${command} fails again and again`);
                continue;
            }
            if (ended.at || at.length > 0) {
                await killed(at);
                this.say(`${column}: went on from there (${seconds()} in all)`);
            }
            if (!ended.at) await passed();
            // What is open then is not begun by this command.
            if (isFirst && wanted === undefined) return;
            isFirst = !ended.at;
        }
    }

    private note(name: string, column: Column, became: string): void {
        const row = this.rows.get(name);
        const isMissed = became === "yes" && this.missed.has(`${column} ${name}`);
        if (row) row[column] = isMissed ? MISSED : became;
    }

    private async ends(command: Command): Promise<string> {
        const { exitCode, stdout, stderr } = await this.crashing.stack.npmRun(command);
        if (exitCode !== 0) this.say(`${command} fails: ${shortly({ said: stdout + stderr })}`);
        if (exitCode !== 0) return `${command} fails`;
        return command === "up" && !LOG_LINE.test(stdout) ? "no log line" : "yes";
    }

    private async converges(): Promise<string> {
        const { stack } = this.crashing;
        const ended = await this.ends("up");
        if (ended !== "yes") return ended;
        const now = (await this.crashing.stands()).filter((one) => !this.lost.has(one));
        const differ = differences(this.standing, now.map(unnumbered));
        if (differ !== undefined)
            for (const one of now) if (differ.includes(unnumbered(one))) this.lost.add(one);
        // Into the project's own file Pulumi would write what its passphrase has to stay for.
        const look = `preview --stack ${stack.name} --config-file ${stack.configCopy} --expect-no-changes`;
        const next = await stack.pulumi(look);
        if (next.exitCode !== 0)
            this.say(`a change is left: ${shortly({ said: next.stdout + next.stderr })}`);
        return differ ?? (next.exitCode === 0 ? "yes" : "a change is left");
    }

    private async vanishes(): Promise<string> {
        const ended = await this.ends("down");
        const left = (await this.crashing.left()).filter((one) => !this.lost.has(one));
        for (const one of left) this.lost.add(one);
        return left.length === 0 ? ended : `left: ${left.slice(0, 9).join(" ")}`;
    }
}

/** A name without what the provider puts after it. */
const unnumbered = (name: string) => name.replace(/-[0-9a-f]{8}$/, "");

function differences(wanted: string[], now: string[]): string | undefined {
    const more = now.filter((one, index) => now.indexOf(one) !== index || !wanted.includes(one));
    const less = wanted.filter((one) => !now.includes(one));
    const words = [
        ...(more.length > 0 ? [`too many: ${more.join(" ")}`] : []),
        ...(less.length > 0 ? [`missing: ${less.join(" ")}`] : []),
    ];
    return words.length > 0 ? words.join("; ") : undefined;
}

/** What Pulumi says is wrong, and its end. */
function shortly({ said }: Pick<Killed, "said">): string {
    const why = /^Diagnostics:\n[^]*?(?=^(?:Outputs|Resources):)/m.exec(said)?.[0] ?? "";
    return `${why}${said.split("\n").slice(-10).join("\n")}`;
}
