import { howToGet } from "./programs/package";
import { RunError } from "./run";

/** What went wrong and what to do about it, for the person who runs the stack. Shown without a stack trace. */
export class StepError extends Error {
    constructor(message: string, options?: ErrorOptions) {
        super(message, options);
        this.name = "StepError";
    }
}

/** The message of any error, ready to be shown: a tool that is missing leads to the doctor. */
export function messageOf(error: unknown): string {
    if (error instanceof RunError && isMissing(error)) {
        return `${error.argv[0]} is not on PATH; ${howToGet([error.argv[0]])}`;
    }
    return error instanceof Error ? error.message : String(error);
}

/** Whether a process could not be started because its program is not there. */
export function isMissing(error: unknown): boolean {
    return error instanceof RunError && (error.cause as NodeJS.ErrnoException | undefined)?.code === "ENOENT";
}

/** Whether an error is the operating system's of that code (`ENOENT`). */
export function isErrno(error: unknown, code: string): boolean {
    return (error as NodeJS.ErrnoException | undefined)?.code === code;
}
