// The report of the specification's conformance tests (https://github.com/opencontainers/distribution-spec/tree/main/conformance):
// what was tested, and what came of it.

/** One test of the report. */
export interface Tested {
    /** `sha256 blobs/post+put/blob-get`: kind of data, then kind of request. */
    name: string;
    status: "passed" | "skipped" | "failure" | "error";
    /** Why it is not passed, one sentence for each assertion; empty where nothing is said. */
    said: string;
}

/** The parts that the specification is divided into. */
export const WORKFLOWS = ["pull", "push", "content discovery", "content management"] as const;
export type Workflow = (typeof WORKFLOWS)[number];

const ENTITIES: Readonly<Record<string, string>> = { lt: "<", gt: ">", quot: '"', amp: "&", apos: "'" };

function plain(xml: string): string {
    return xml
        .replace(/&#(x?)([0-9A-Fa-f]+);/g, (_, hex: string, code: string) =>
            String.fromCodePoint(parseInt(code, hex ? 16 : 10)),
        )
        .replace(/&(lt|gt|quot|apos|amp);/g, (_, name: string) => ENTITIES[name]);
}

const TEST = /<testcase ([^>]*)>([\s\S]*?)<\/testcase>/g;
const ROOT = "OCI Conformance Test/";

/** Reads junit.xml. Throws where it holds something else than tests with a known status. */
export function parseReport(junit: string): Tested[] {
    const tests = [...junit.matchAll(TEST)].map(([, attributes, body]): Tested => {
        const attribute = (name: string) =>
            plain(new RegExp(`\\b${name}="([^"]*)"`).exec(attributes)?.[1] ?? "");
        const [name, status] = [attribute("name"), attribute("status")];
        if (!name.startsWith(ROOT)) throw new Error(`the report has a test of another name: ${name}`);
        if (status !== "passed" && status !== "skipped" && status !== "failure" && status !== "error")
            throw new Error(`the report has a test that is neither passed nor failed: ${name}: ${status}`);
        const said = plain(/<system-out>([\s\S]*?)<\/system-out>/.exec(body)?.[1] ?? "");
        return { name: name.slice(ROOT.length), status, said };
    });
    const announced = [...junit.matchAll(/<testcase\b/g)].length;
    if (tests.length !== announced || tests.length === 0)
        throw new Error(`the report has ${announced} tests, of which ${tests.length} can be read`);
    return tests;
}

/** The part of the specification that a test is of. */
export function workflow(name: string): Workflow {
    if (/(blob|manifest|tag)-delete$/.test(name)) return "content management";
    if (/(tag-list|tag list|referrers)$/.test(name)) return "content discovery";
    if (/\/push\/|blob-(post|patch|mount)[\w-]*$|manifest-put$/.test(name)) return "push";
    return "pull";
}

export interface Totals {
    passed: number;
    skipped: number;
    failed: number;
}

export function totals(tests: readonly Tested[]): Totals {
    const count = (...statuses: string[]) => tests.filter(({ status }) => statuses.includes(status)).length;
    return { passed: count("passed"), skipped: count("skipped"), failed: count("failure", "error") };
}

/** Something that the registry is known to do otherwise than the tests want. */
export interface Deviation {
    /** Which tests fail of it. */
    tests: RegExp;
    /** What each of them says. */
    said: RegExp;
    why: string;
}

/** What is wrong: failures that no deviation explains, and deviations that nothing fails of any more. */
export function unexplained(tests: readonly Tested[], deviations: readonly Deviation[]): string[] {
    const failed = tests.filter(({ status }) => status === "failure" || status === "error");
    const explains = (deviation: Deviation) => (test: Tested) =>
        test.status === "failure" && deviation.tests.test(test.name) && deviation.said.test(test.said);
    const open = failed.filter((test) => !deviations.some((deviation) => explains(deviation)(test)));
    const gone = deviations.filter((deviation) => !failed.some(explains(deviation)));
    return [
        ...open.map(({ name, said }) => `${name}: ${said.slice(0, 400)}`),
        ...gone.map(({ why }) => `no longer so, take it from the list: ${why}`),
    ];
}
