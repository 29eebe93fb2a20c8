import { AsyncLocalStorage } from "node:async_hooks";

/** Lines of progress of one of several steps in this process. */
const notes = new AsyncLocalStorage<string[]>();

/** A line of progress for whoever watches: standard output is for the result alone. */
export function progress(line: string): void {
    const own = notes.getStore();
    if (own) own.push(line);
    else process.stderr.write(`${line}\n`);
}

/** Runs one of several steps, and gives back its lines of progress with what it returns. */
export async function notesOf<T extends object>(act: () => Promise<T>): Promise<T & { notes: string[] }> {
    const own: string[] = [];
    return { ...(await notes.run(own, act)), notes: own };
}
