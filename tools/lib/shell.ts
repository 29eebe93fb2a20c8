/** A word that a POSIX shell reads as just that text. */
export function shellQuote(text: string): string {
    if (/^[A-Za-z0-9_@%+=:,./-]+$/.test(text)) return text;
    return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Lines for `eval`: what to set, and (undefined) what must not be set. */
export function exportLines(env: Record<string, string | undefined>): string {
    return Object.entries(env)
        .map(([name, value]) =>
            value === undefined ? `unset ${name}\n` : `export ${name}=${shellQuote(value)}\n`,
        )
        .join("");
}

/** Line for `eval` that puts folders before the shell's own PATH: this process's may hold what npm added for itself. */
export function pathLine(dirs: readonly string[]): string {
    if (dirs.length === 0) return "";
    return `export PATH=${dirs.map(shellQuote).join(":")}"\${PATH:+:$PATH}"\n`;
}
