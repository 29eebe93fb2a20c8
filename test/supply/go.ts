/** The parts of a go.mod that say what is built. */
export interface GoModule {
    requires: { path: string; version: string }[];
    /** `version` is unset for a replacement by a folder. */
    replaces: { from: string; to: string; version?: string }[];
}

/** Reads a go.mod: single lines and blocks of `require` and `replace`. */
export function parseGoMod(text: string): GoModule {
    const module: GoModule = { requires: [], replaces: [] };
    let block = "";
    for (const raw of text.split("\n")) {
        const line = raw.replace(/\/\/.*$/, "").trim();
        if (line === ")") block = "";
        else if (/^\w+ \($/.test(line)) block = line.slice(0, -2);
        else if (line !== "") {
            const [word, ...rest] = block ? [block, ...line.split(/\s+/)] : line.split(/\s+/);
            if (word === "require") module.requires.push({ path: rest[0], version: rest[1] });
            if (word !== "replace") continue;
            const arrow = rest.indexOf("=>");
            const [to, version] = rest.slice(arrow + 1);
            module.replaces.push({ from: rest[0], to, ...(version && { version }) });
        }
    }
    return module;
}

/** The modules that are built, replacements applied. */
export function goModules({ requires, replaces }: GoModule): { path: string; version: string }[] {
    return requires.map((wanted) => {
        const other = replaces.find(({ from }) => from === wanted.path);
        return other?.version === undefined ? wanted : { path: other.to, version: other.version };
    });
}

const VERSION = /^v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+incompatible)?$/;

/** What is wrong with one go.mod and its go.sum. `name` is shown. */
export function goFindings(
    name: string,
    mod: string,
    sum: string,
    replacements: Readonly<Record<string, string>>,
): string[] {
    const module = parseGoMod(mod);
    const findings: string[] = [];
    for (const { from, to, version } of module.replaces) {
        if (version === undefined) findings.push(`${name}: ${from} is replaced by the folder ${to}`);
        else if (to !== from && replacements[from] !== to)
            findings.push(`${name}: ${from} is replaced by ${to}, which policy.ts does not list`);
    }
    const sums = new Set(
        [...sum.matchAll(/^(\S+) (\S+) h1:[A-Za-z0-9+/]{43}=$/gm)].map((match) => `${match[1]} ${match[2]}`),
    );
    const lines = sum.split("\n").filter((line) => line !== "");
    if (lines.length !== sums.size)
        findings.push(`${name}: go.sum has lines that are no checksums, or twice`);
    for (const { path, version } of goModules(module)) {
        if (!VERSION.test(version)) findings.push(`${name}: ${path} has no exact version (${version})`);
        // The content of a module that no package is built from is in no checksum; its go.mod always is.
        else if (!sums.has(`${path} ${version}/go.mod`) && !sums.has(`${path} ${version}`))
            findings.push(`${name}: ${path} ${version} has no checksum in go.sum`);
    }
    return findings;
}
