/** A package of one of the registries, as OSV (https://google.github.io/osv.dev/post-v1-querybatch/) names it. */
export interface Package {
    ecosystem: "crates.io" | "npm" | "Go";
    name: string;
    /** Without a leading `v`. */
    version: string;
}

/** A known advisory that holds for a package. */
export interface Advisory {
    /** `RUSTSEC-…`, `GHSA-…` or `GO-…`. */
    id: string;
    aliases: string[];
    summary: string;
    package: Package;
}

/** What came of asking. */
export type Answer = { had: true; advisories: Advisory[] } | { had: false; because: string };

/** OSV's public service: the RustSec, GitHub and Go databases behind one question. No account, no key. */
export const OSV = "https://api.osv.dev";

/** Most questions that one request may hold. */
const BATCH = 1000;
/** Most pages of one answer that are read. */
const PAGES = 10;
const LIMIT_SECONDS = 30;

/** Advisories could not be had: no network, or something in between that does not let the question through. */
class NotHad extends Error {}

async function ask<T>(url: string, body?: unknown): Promise<T> {
    const host = new URL(url).host;
    let response: Response;
    let text: string;
    try {
        response = await fetch(url, {
            ...(body !== undefined && { method: "POST", body: JSON.stringify(body) }),
            headers: { "content-type": "application/json" },
            signal: AbortSignal.timeout(LIMIT_SECONDS * 1000),
        });
        text = await response.text();
    } catch (error) {
        const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
        const why = cause instanceof Error ? cause.message : String(cause);
        throw new NotHad(`${host} cannot be reached (${why})`, { cause: error });
    }
    // 400: the question is wrong, which is ours to mend.
    if (response.status === 400)
        throw new Error(`${host} does not understand the question: ${text.slice(0, 300)}`);
    if (response.status !== 200) throw new NotHad(`${host} answers with HTTP status ${response.status}`);
    try {
        return JSON.parse(text) as T;
    } catch (error) {
        throw new NotHad(`${host} answers with something else than JSON`, { cause: error });
    }
}

interface Batch {
    results: { vulns?: { id: string }[]; next_page_token?: string }[];
}

interface Details {
    aliases?: string[];
    summary?: string;
    withdrawn?: string;
}

/** Asks OSV which advisories hold for the packages. `base` is another address of it, for tests. */
export async function askOsv(packages: readonly Package[], base = OSV): Promise<Answer> {
    try {
        const found: { id: string; package: Package }[] = [];
        for (let begin = 0; begin < packages.length; begin += BATCH) {
            let open = packages.slice(begin, begin + BATCH).map((wanted) => ({ wanted, page: "" }));
            for (let pages = 0; open.length > 0; pages++) {
                if (pages === PAGES) throw new NotHad(`${base} has no end of pages`);
                const queries = open.map(({ wanted: { ecosystem, name, version }, page }) => ({
                    package: { ecosystem, name },
                    version,
                    ...(page && { page_token: page }),
                }));
                const { results } = await ask<Batch>(`${base}/v1/querybatch`, { queries });
                if (!Array.isArray(results) || results.length !== open.length)
                    throw new NotHad(`${base} answers ${queries.length} questions otherwise than asked`);
                const next: typeof open = [];
                results.forEach((result, index) => {
                    const { wanted } = open[index];
                    for (const { id } of result.vulns ?? []) found.push({ id, package: wanted });
                    if (result.next_page_token) next.push({ wanted, page: result.next_page_token });
                });
                open = next;
            }
        }
        const details = new Map<string, Details>();
        for (const id of new Set(found.map((advisory) => advisory.id)))
            details.set(id, await ask<Details>(`${base}/v1/vulns/${encodeURIComponent(id)}`));
        const advisories = found.flatMap(({ id, package: of }) => {
            const { aliases = [], summary = "", withdrawn } = details.get(id) ?? {};
            return withdrawn === undefined ? [{ id, aliases, summary, package: of }] : [];
        });
        return { had: true, advisories };
    } catch (error) {
        if (error instanceof NotHad) return { had: false, because: error.message };
        throw error;
    }
}

interface AuditVia {
    url?: string;
    title?: string;
    name?: string;
    range?: string;
}

/** Reads what `npm audit --json` printed: its report, or why the registry gave none. */
export function parseNpmAudit(stdout: string): Answer {
    let report: {
        message?: string;
        error?: { summary?: string };
        vulnerabilities?: Record<string, { via: (AuditVia | string)[] }>;
    };
    try {
        report = JSON.parse(stdout) as typeof report;
    } catch {
        return { had: false, because: "npm audit printed no report" };
    }
    if (report.vulnerabilities === undefined) {
        const why = report.message ?? report.error?.summary;
        return { had: false, because: `the npm registry gives none (${why ?? "no reason given"})` };
    }
    // A package that only needs a vulnerable one names it by a string; the advisory itself is an object, once for each.
    const found = new Map<string, Advisory>();
    for (const { via } of Object.values(report.vulnerabilities)) {
        for (const entry of via) {
            if (typeof entry === "string") continue;
            const id = /GHSA(-[0-9a-z]{4}){3}/.exec(entry.url ?? "")?.[0] ?? entry.url ?? "no id";
            const name = entry.name ?? "unknown";
            const of: Package = { ecosystem: "npm", name, version: entry.range ?? "" };
            found.set(`${id} ${name}`, { id, aliases: [], summary: entry.title ?? "", package: of });
        }
    }
    return { had: true, advisories: [...found.values()] };
}

/** `RUSTSEC-2026-0001 crates.io x 1.2.3: what it is`. */
export function shown({ id, summary, package: of }: Advisory): string {
    return `${id} ${of.ecosystem} ${of.name} ${of.version}: ${summary}`;
}

/** What an answer means: advisories that fail the run, and what the reader has to be told. */
export interface Verdict {
    failures: string[];
    notes: string[];
}

/**
 * Every advisory that is not accepted fails, but for Go's: those modules are built where releases cannot be had, from what
 * their own projects require, and an advisory of a module does not say that its code is in the program. They are told.
 * Advisories that could not be had are told too, and fail where they are `required`.
 */
export function judge(what: string, answer: Answer, accepted: readonly string[], required: boolean): Verdict {
    if (!answer.had) {
        const note = `${what}: NO ADVISORIES were looked at, ${answer.because}`;
        return required ? { failures: [note], notes: [] } : { failures: [], notes: [note] };
    }
    const open = answer.advisories.filter(
        ({ id, aliases }) => ![id, ...aliases].some((name) => accepted.includes(name)),
    );
    const go = open.filter((advisory) => advisory.package.ecosystem === "Go");
    return {
        failures: open.filter((advisory) => !go.includes(advisory)).map(shown),
        notes: go.map((advisory) => `built with Go: ${shown(advisory)}`),
    };
}
