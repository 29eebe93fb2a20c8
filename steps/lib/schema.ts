/** A step's input: an object of exactly these fields. The rules for each of them are everybody's: steps/rules. */
import { isObject, object as anyObject, type Problem, type Rule } from "../rules";

export * from "../rules";

/** An input's fields: each one of the interface has its rule, and no other does. */
export type Fields<T> = { [K in keyof T]-?: Rule<T[K]> };

/** The rule for an object with the fields that it is made of. */
export type Input<T> = Rule<T> & { readonly fields: Fields<T> };

/** The type of what passes a rule. */
export type Of<R> = R extends Rule<infer T> ? T : never;

/** An object of exactly these fields, all of them there but for those that are `optional`. */
export function object<T extends object>(fields: Fields<T>): Input<T> {
    const rules = Object.entries<Rule>(fields).map(([name, field]) => [
        name,
        field.optional ? field : there(field),
    ]);
    return Object.assign(anyObject(Object.fromEntries(rules) as object) as Rule<T>, { fields });
}

/** A field that must be there. */
function there<T>(field: Rule<T>): Rule<T> {
    const missing = (path: string): Problem[] => [
        { path, message: `is missing; it must be ${field.allowed ?? "there"}` },
    ];
    return Object.assign(
        (value: unknown, path: string) => (value === undefined ? missing(path) : field(value, path)),
        field,
    );
}

/**
 * What undoing needs of the input that its opposite had. Pulumi stores that, so it may come from an older or a newer version: other
 * fields may be there or missing, and nothing is said of them.
 */
export function stored<T extends object, K extends keyof T>(
    { fields }: Input<T>,
    ...needed: K[]
): Input<Pick<T, K>> {
    const kept = Object.fromEntries(needed.map((name) => [name, fields[name]])) as Fields<Pick<T, K>>;
    const rule = object<Pick<T, K>>(kept);
    const lenient = (value: unknown, path: string) =>
        rule(
            isObject(value) ? Object.fromEntries(needed.map((name) => [name, value[name as string]])) : value,
            path,
        );
    return Object.assign(lenient, { allowed: rule.allowed, fields: kept });
}

/** The fields of an object with what each may be, one a line. */
export function describe<T extends object>(input: { fields: Fields<T> }): string {
    return Object.entries<Rule>(input.fields)
        .map(
            ([name, field]) =>
                `  ${name}${field.optional ? " (optional)" : ""}: ${field.allowed ?? "anything"}`,
        )
        .join("\n");
}
