import { rule } from "../validation";

interface Field {
    name: string;
    least: number;
    most: number;
    words?: readonly string[];
}

const months = "jan,feb,mar,apr,may,jun,jul,aug,sep,oct,nov,dec".split(",");
const days = "sun,mon,tue,wed,thu,fri,sat".split(",");

/**
 * The five fields of a schedule, in their order, as the CronJob controller reads them. The libraries for it read others: cron-parser
 * takes four fields, six, 7 for Sunday and L, croner refuses 5/10 and @every. A test holds this to the API server.
 */
const fields: readonly Field[] = [
    { name: "minute", least: 0, most: 59 },
    { name: "hour", least: 0, most: 23 },
    { name: "day of the month", least: 1, most: 31 },
    { name: "month", least: 1, most: 12, words: months },
    { name: "day of the week", least: 0, most: 6, words: days },
];

/** What keeps a text from being the schedule of a CronJob; undefined when it is one. */
export function scheduleFault(text: string): string | undefined {
    if (text.startsWith("@")) {
        if (/^@(yearly|annually|monthly|weekly|daily|midnight|hourly)$/.test(text)) return undefined;
        if (/^@every (\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) return undefined;
        return "there are @hourly, @daily, @weekly, @monthly, @yearly and @every 1h30m";
    }
    if (/TZ=/.test(text)) return "the time zone has an argument of its own, timeZone";
    const given = text.trim().split(/\s+/);
    if (given.length !== fields.length)
        return `it has ${given.length === 1 ? "1 field" : `${given.length} fields`}, not 5`;
    for (const [index, field] of fields.entries()) {
        // Nothing between two commas is nothing, but a field of commas alone would never come.
        const parts = given[index].split(",").filter((part) => part !== "");
        const wrong = parts.length === 0 ? given[index] : parts.find((part) => !isPart(part, field));
        if (wrong !== undefined)
            return `its ${field.name} is from ${field.least} to ${field.most}, not ${JSON.stringify(wrong)}`;
    }
    return undefined;
}

/** `5`, `1-5`, `*`, each perhaps with a step: `0-30/10` */
function isPart(part: string, field: Field): boolean {
    const [, range, step] = /^([^/]*)(?:\/(.*))?$/.exec(part) ?? [];
    if (step !== undefined && !(/^\d+$/.test(step) && Number(step) > 0)) return false;
    if (range === "*" || range === "?") return true;
    const ends = range.split("-").map((end) => numberOf(end, field));
    if (ends.length > 2 || ends.some((end) => end === undefined)) return false;
    const [first, last = first] = ends as number[];
    return first <= last;
}

function numberOf(text: string, { least, most, words }: Field): number | undefined {
    const word = words?.indexOf(text.toLowerCase()) ?? -1;
    const number = word >= 0 ? word + least : /^\d+$/.test(text) ? Number(text) : NaN;
    return number >= least && number <= most ? number : undefined;
}

/** When a CronJob runs. */
export const schedule = rule<string>((value) => {
    const example = 'for example "*/5 * * * *" (minute, hour, day of the month, month, day of the week)';
    if (typeof value !== "string") return `must be a schedule, not ${JSON.stringify(value)}; ${example}`;
    const fault = scheduleFault(value);
    return fault && `must be a schedule; of ${JSON.stringify(value)}: ${fault}; ${example}`;
});

/** A name of the IANA time zone database. */
export const timeZone = rule<string>((value) => {
    const wrong = `must be a time zone (for example "Europe/Berlin" or "Etc/UTC"), not ${JSON.stringify(value)}`;
    // Kubernetes refuses "Local": it would be whatever the controller's host has.
    if (typeof value !== "string" || !/^[A-Za-z]/.test(value) || value === "Local") return wrong;
    try {
        new Intl.DateTimeFormat("en", { timeZone: value });
        return undefined;
    } catch {
        return wrong;
    }
});
